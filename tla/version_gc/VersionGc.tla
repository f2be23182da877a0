----------------------------- MODULE VersionGc ------------------------------
(* Old versions of a row, snapshots that may need them, and the collector:    *)
(* T2, T4.  Code: aether-txn (registry, manager, segment, snapshot),          *)
(* aether-index (read, smo).                                                  *)
(*                                                                            *)
(* The newest version stands in the row; each names the place of its undo     *)
(* record, on pages that are spilled like any other, where the version before *)
(* stands.  A writer that is not in the table is committed and visible to     *)
(* all: the collector may forget one only if no snapshot, present or future,  *)
(* lies below.  A commit is one step here (Publication); durable is a number. *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumWriters, NumReaders, ChangesMax,
          WithExpiry     \* snapshots may be held for too long
VARIABLES
  row, undo,        \* version [value, by, at]; records [txn, before]
  gone,             \* records whose page is freed
  state, ts, until, \* writer: its state, its commit, until when its records are needed
  table,            \* writers that are not forgotten
  clock, durable,   \* newest timestamp; everything at or below is durable
  shown,            \* history: the value at each timestamp
  pc, at, seen,     \* reader: how far it is, its snapshot, the version it looks at
  step, low, horizon, expired       \* the collector; snapshots below have been held for too long
versions == <<row, undo, gone>>
writers == <<state, ts, until, table, clock, shown>>
readers == <<pc, at, seen>>
gc == <<step, low, horizon, expired>>
vars == <<versions, writers, durable, readers, gc>>
Writers == 1..NumWriters
Readers == 1..NumReaders
Bare(value) == [value |-> value, by |-> 0, at |-> 0]
InUse == 99
Init ==
  /\ row = Bare(0) /\ undo = <<>> /\ gone = {}
  /\ state = [w \in Writers |-> "new"] /\ ts = [w \in Writers |-> 0] /\ until = [w \in Writers |-> InUse]
  /\ table = {} /\ clock = 0 /\ durable = 0 /\ shown = <<0>>
  /\ pc = [r \in Readers |-> "new"] /\ at = [r \in Readers |-> 0] /\ seen = [r \in Readers |-> Bare(0)]
  /\ step = "idle" /\ low = 0 /\ horizon = 0 /\ expired = 0
-----------------------------------------------------------------------------
RowIsFree(w) == \A v \in table \ {w} : row.by = v => state[v] = "committed"
ChangesOf(w) == Cardinality({u \in DOMAIN undo : undo[u].txn = w})
Change(w) ==
  /\ state[w] \in {"new", "active"} /\ ChangesOf(w) < ChangesMax /\ RowIsFree(w)
  /\ undo' = Append(undo, [txn |-> w, before |-> row])
  /\ row' = [value |-> Len(undo'), by |-> w, at |-> Len(undo')]
  /\ state' = [state EXCEPT ![w] = "active"] /\ table' = table \cup {w}
  /\ UNCHANGED <<gone, ts, until, clock, shown, durable, readers, gc>>
Commit(w) ==
  /\ state[w] = "active" /\ state' = [state EXCEPT ![w] = "committed"]
  /\ clock' = clock + 1 /\ ts' = [ts EXCEPT ![w] = clock + 1] /\ until' = [until EXCEPT ![w] = clock + 1]
  /\ shown' = Append(shown, row.value)
  /\ UNCHANGED <<versions, table, durable, readers, gc>>
Advance ==
  /\ durable < clock /\ durable' = durable + 1 /\ UNCHANGED <<versions, writers, readers, gc>>
(* A rollback: the row first, then the table.                                 *)
Undo(w) ==
  /\ state[w] \in {"active", "undoing"} /\ row.by = w /\ state' = [state EXCEPT ![w] = "undoing"]
  /\ row' = undo[row.at].before
  /\ UNCHANGED <<undo, gone, ts, until, table, clock, shown, durable, readers, gc>>
End(w) ==
  /\ state[w] = "undoing"
  /\ row.by # w
  /\ state' = [state EXCEPT ![w] = "aborted"] /\ table' = table \ {w} /\ until' = [until EXCEPT ![w] = clock]
  /\ UNCHANGED <<versions, ts, clock, shown, durable, readers, gc>>
(* Who cleans a leaf strips versions of writers that are forgotten.           *)
StripRow ==
  /\ row.by # 0
  /\ row.by \notin table
  /\ row' = Bare(row.value)
  /\ UNCHANGED <<undo, gone, writers, durable, readers, gc>>
-----------------------------------------------------------------------------
(* Drawing a snapshot, of the newest or of the durable state, and registering *)
(* it are one step under the registry's lock.                                 *)
Enter(r, snapshot) ==
  /\ pc[r] = "new"
  /\ pc' = [pc EXCEPT ![r] = "entered"]
  /\ at' = [at EXCEPT ![r] = snapshot]
  /\ UNCHANGED <<versions, writers, durable, seen, gc>>
Sees(r, w) == w = 0 \/ w \notin table \/ (state[w] = "committed" /\ ts[w] <= at[r])
Met(r, version, known) ==
  /\ seen' = [seen EXCEPT ![r] = version]
  /\ pc' = [pc EXCEPT ![r] = IF known /\ Sees(r, version.by) THEN "answered" ELSE "older"]
  /\ UNCHANGED <<versions, writers, durable, at, gc>>
ReadRow(r) ==
  /\ pc[r] = "entered"
  /\ Met(r, row, TRUE)
(* The version before.  The writer itself is not asked for again: rolled back *)
(* by now, it would look like one that is forgotten.  The bytes of a page     *)
(* that is freed stay until it is used again.                                 *)
Behind(r) ==
  /\ pc[r] = "older"
  /\ LET before == undo[seen[r].at].before
     IN Met(r, before, before.by # seen[r].by)
(* The record is gone: the row has changed, or the snapshot is expired.       *)
Again(r) ==
  /\ pc[r] = "older" /\ seen[r].at \in gone
  /\ pc' = [pc EXCEPT ![r] = IF at[r] < expired THEN "left" ELSE "entered"]
  /\ UNCHANGED <<versions, writers, durable, at, seen, gc>>
Older(r) == Behind(r) \/ Again(r)
LetGo(r) ==
  /\ pc[r] \in {"entered", "answered"} \/ (pc[r] = "older" /\ at[r] < expired)
  /\ pc' = [pc EXCEPT ![r] = "left"]
  /\ UNCHANGED <<versions, writers, durable, at, seen, gc>>
-----------------------------------------------------------------------------
(* The collector: what is durable, then the oldest snapshot.                  *)
Registered == {r \in Readers : pc[r] \in {"entered", "older", "answered"}}
Lowest(S) == CHOOSE x \in S : \A y \in S : x <= y
Expire(r) ==
  /\ WithExpiry /\ step = "idle" /\ r \in Registered /\ at[r] < durable /\ at[r] >= expired
  /\ \A q \in Registered : at[q] >= expired => at[r] <= at[q]
  /\ expired' = at[r] + 1
  /\ UNCHANGED <<versions, writers, durable, readers, step, low, horizon>>
GcDurable ==
  /\ step = "idle" /\ step' = "oldest"
  /\ low' = durable
  /\ UNCHANGED <<versions, writers, durable, readers, horizon, expired>>
GcOldest ==
  /\ step = "oldest" /\ step' = "forget"
  /\ horizon' = Lowest({low} \cup {at[r] : r \in {q \in Registered : at[q] >= expired}})
  /\ UNCHANGED <<versions, writers, durable, readers, low, expired>>
(* Who has only just committed may be forgotten another time.                 *)
Forgettable == {w \in table : state[w] = "committed" /\ ts[w] <= horizon}
Forget(w) ==
  /\ step = "forget" /\ w \in Forgettable /\ table' = table \ {w}
  /\ UNCHANGED <<versions, state, ts, until, clock, shown, durable, readers, gc>>
RecordsOf(w) == {u \in DOMAIN undo : undo[u].txn = w}
Trim(w) ==
  /\ step = "forget" /\ ~(RecordsOf(w) \subseteq gone)
  /\ until[w] <= horizon
  /\ gone' = gone \cup RecordsOf(w)
  /\ UNCHANGED <<row, undo, writers, durable, readers, gc>>
GcEnd ==
  /\ step = "forget" /\ step' = "idle" /\ horizon' = 0 /\ low' = 0
  /\ UNCHANGED <<versions, writers, durable, readers, expired>>
Next ==
  \/ \E w \in Writers : Change(w) \/ Commit(w) \/ Undo(w) \/ End(w) \/ Forget(w) \/ Trim(w)
  \/ \E r \in Readers : Enter(r, clock) \/ Enter(r, durable) \/ ReadRow(r) \/ Older(r) \/ LetGo(r) \/ Expire(r)
  \/ Advance \/ StripRow \/ GcDurable \/ GcOldest \/ GcEnd
Spec == Init /\ [][Next]_vars
Fair == Spec /\ WF_vars(Advance) /\ SF_vars(GcDurable) /\ WF_vars(GcOldest) /\ WF_vars(GcEnd)
             /\ (\A w \in Writers : SF_vars(Forget(w)))
             /\ \A r \in Readers : WF_vars(ReadRow(r)) /\ WF_vars(Older(r)) /\ SF_vars(LetGo(r))
-----------------------------------------------------------------------------
IsKept(r) == at[r] >= expired
(* T2, T4: a snapshot shows what was committed there, however long it lives.  *)
AnswersAreRight == \A r \in Readers : pc[r] = "answered" /\ IsKept(r) => seen[r].value = shown[at[r] + 1]
(* T4: nothing is freed that a snapshot may need; what is missing was rolled  *)
(* back.                                                                      *)
NothingMissing == \A r \in Readers : pc[r] = "older" /\ IsKept(r) /\ seen[r].at \in gone => state[seen[r].by] = "aborted"
(* T4: who is forgotten is visible to every snapshot, present and future, and *)
(* no crash undoes it.                                                        *)
ForgottenIsSettled == \A w \in Writers \ table : state[w] = "committed" =>
  ts[w] <= durable /\ \A r \in Registered : IsKept(r) => ts[w] <= at[r]
(* The horizon lies at or below every snapshot that is registered.            *)
HorizonIsLow == step = "forget" => \A r \in Registered : IsKept(r) => horizon <= at[r]
(* What is not needed goes in the end.                                        *)
Collected == \A w \in Writers : (state[w] = "committed") ~> (w \notin table)
=============================================================================
