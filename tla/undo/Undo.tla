-------------------------------- MODULE Undo --------------------------------
(* Rollback by compensations: whole, to a savepoint, and of losers after a    *)
(* crash anywhere, also in a rollback: T1, T4.  Code: aether-txn (rollback,   *)
(* undo, txn), aether-index (undo), aether-recovery (active, open).           *)
(*                                                                            *)
(* A change is one group: the row and its undo record, which says what stood  *)
(* there, and which change of the transaction was before.  The group carries  *)
(* the transaction's undo head.  A compensation is a group of its own, which  *)
(* moves the head to the change before.  Some take several groups: their      *)
(* effects come first, the head moves last.  A row is a version: its writer,  *)
(* and the place of its undo record; a place is that of the group in the log. *)
(* Pages after redo are what the kept log says (PageRedo); one stream.        *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumTxns, NumRows, ChangesMax, CrashesMax,
          WithSavepoints, WithParts
VARIABLES
  log, durable,     \* records [kind, txn, row, at, before, prev, head]; durable prefix
  row,              \* row -> version [by, at]
  state,            \* "new" "active" "back" "undoing" "losing" "committed" "over"
  head, target,     \* newest change that is not undone; where the rollback ends
  mark, saved,      \* the savepoint's head; history: what was not undone there
  changes,          \* made so far
  acked, crashes
marks == <<mark, saved>>
vars == <<log, durable, row, state, head, target, marks, changes, acked, crashes>>
Txns == 1..NumTxns
Rows == 1..NumRows
Bare == [by |-> 0, at |-> 0]
None == 99
Init ==
  /\ log = <<>> /\ durable = 0 /\ row = [r \in Rows |-> Bare] /\ state = [t \in Txns |-> "new"]
  /\ head = [t \in Txns |-> 0] /\ target = [t \in Txns |-> 0]
  /\ mark = [t \in Txns |-> None] /\ saved = [t \in Txns |-> {}]
  /\ changes = [t \in Txns |-> 0] /\ acked = {} /\ crashes = 0
-----------------------------------------------------------------------------
(* at: the place of the change, or of the one that is compensated.            *)
Record(kind, t, r, at, before, prev, next) ==
  [kind |-> kind, txn |-> t, row |-> r, at |-> at, before |-> before, prev |-> prev, head |-> next]
Place == Len(log) + 1
Rolling == {"back", "undoing", "losing"}
IsOver(t) == state[t] \in {"committed", "over"}
MayWrite(t, r) == \A u \in Txns \ {t} : row[r].by = u => IsOver(u)
(* Nobody begins before every loser is rolled back.                           *)
Open == \A t \in Txns : state[t] # "losing"
Change(t, r) ==
  /\ Open /\ state[t] \in {"new", "active"} /\ changes[t] < ChangesMax
  /\ MayWrite(t, r)
  /\ log' = Append(log, Record("change", t, r, Place, row[r], head[t], Place))
  /\ row' = [row EXCEPT ![r] = [by |-> t, at |-> Place]] /\ head' = [head EXCEPT ![t] = Place]
  /\ state' = [state EXCEPT ![t] = "active"] /\ changes' = [changes EXCEPT ![t] = @ + 1]
  /\ UNCHANGED <<durable, target, marks, acked, crashes>>
Undone(t) == {log[i].at : i \in {j \in DOMAIN log : log[j].kind = "clr" /\ log[j].txn = t}}
Left(t) == {i \in DOMAIN log : log[i].kind = "change" /\ log[i].txn = t} \ Undone(t)
Savepoint(t) ==
  /\ WithSavepoints /\ state[t] = "active" /\ mark[t] = None
  /\ mark' = [mark EXCEPT ![t] = head[t]] /\ saved' = [saved EXCEPT ![t] = Left(t)]
  /\ UNCHANGED <<log, durable, row, state, head, target, changes, acked, crashes>>
RollBackTo(t) ==
  /\ state[t] = "active" /\ mark[t] # None /\ head[t] # mark[t] /\ state' = [state EXCEPT ![t] = "back"]
  /\ target' = [target EXCEPT ![t] = mark[t]]
  /\ UNCHANGED <<log, durable, row, head, marks, changes, acked, crashes>>
GoOn(t) ==
  /\ state[t] = "back" /\ head[t] = target[t] /\ state' = [state EXCEPT ![t] = "active"]
  /\ UNCHANGED <<log, durable, row, head, target, marks, changes, acked, crashes>>
Abort(t) ==
  /\ state[t] = "active" /\ state' = [state EXCEPT ![t] = "undoing"] /\ target' = [target EXCEPT ![t] = 0]
  /\ UNCHANGED <<log, durable, row, head, marks, changes, acked, crashes>>
(* The row is looked at: what is undone already is left alone.                *)
IsThere(t) == row[log[head[t]].row] = [by |-> t, at |-> head[t]]
Restored(t) == [row EXCEPT ![log[head[t]].row] = log[head[t]].before]
UndoPart(t) ==
  /\ WithParts /\ state[t] \in Rolling /\ head[t] # target[t] /\ IsThere(t)
  /\ log' = Append(log, Record("part", t, log[head[t]].row, head[t], log[head[t]].before, 0, head[t]))
  /\ row' = Restored(t)
  /\ UNCHANGED <<durable, state, head, target, marks, changes, acked, crashes>>
Compensate(t) ==
  /\ state[t] \in Rolling /\ head[t] # target[t]
  /\ LET old == log[head[t]]
         kind == IF IsThere(t) THEN old.row ELSE 0
     IN log' = Append(log, Record("clr", t, kind, head[t], old.before, 0, old.prev))
  /\ row' = IF IsThere(t) THEN Restored(t) ELSE row
  /\ head' = [head EXCEPT ![t] = log[head[t]].prev]
  /\ UNCHANGED <<durable, state, target, marks, changes, acked, crashes>>
End(t) ==
  /\ state[t] \in {"undoing", "losing"}
  /\ head[t] = 0
  /\ log' = Append(log, Record("end", t, 0, 0, Bare, 0, 0)) /\ state' = [state EXCEPT ![t] = "over"]
  /\ UNCHANGED <<durable, row, head, target, marks, changes, acked, crashes>>
Commit(t) ==
  /\ state[t] = "active" /\ head[t] # 0
  /\ log' = Append(log, Record("commit", t, 0, 0, Bare, 0, 0)) /\ state' = [state EXCEPT ![t] = "committed"]
  /\ UNCHANGED <<durable, row, head, target, marks, changes, acked, crashes>>
FlushTo(end) ==
  /\ durable < end /\ end <= Len(log) /\ durable' = end
  /\ UNCHANGED <<log, row, state, head, target, marks, changes, acked, crashes>>
Flush == FlushTo(Len(log))
Commits(t) == {i \in DOMAIN log : log[i].kind = "commit" /\ log[i].txn = t}
Ack(t) ==
  /\ state[t] = "committed" /\ t \notin acked
  /\ \E i \in Commits(t) : i <= durable
  /\ acked' = acked \cup {t}
  /\ UNCHANGED <<log, durable, row, state, head, target, marks, changes, crashes>>
-----------------------------------------------------------------------------
(* A crash, and what redo and analysis make of the log that is left.          *)
RECURSIVE RowAfter(_, _, _)
RowAfter(kept, r, i) ==
  IF i = 0 THEN Bare ELSE IF kept[i].row # r THEN RowAfter(kept, r, i - 1)
  ELSE IF kept[i].kind = "change" THEN [by |-> kept[i].txn, at |-> i] ELSE kept[i].before
Of(kept, t) == {i \in DOMAIN kept : kept[i].txn = t}
Has(kept, t, kind) == \E i \in Of(kept, t) : kept[i].kind = kind
Newest(S) == CHOOSE i \in S : \A j \in S : j <= i
HeadsOf(kept, t) == {i \in Of(kept, t) : kept[i].kind \in {"change", "clr", "part"}}
IsLoser(kept, t) == Has(kept, t, "change")
                    /\ ~Has(kept, t, "commit")
                    /\ ~Has(kept, t, "end")
Crash ==
  /\ crashes < CrashesMax /\ crashes' = crashes + 1
  /\ \E end \in durable..Len(log) : LET kept == SubSeq(log, 1, end) IN
       /\ log' = kept /\ durable' = end
       /\ row' = [r \in Rows |-> RowAfter(kept, r, end)]
       /\ state' = [t \in Txns |-> IF state[t] = "new" THEN "new" ELSE IF Has(kept, t, "commit") THEN "committed"
                                   ELSE IF IsLoser(kept, t) THEN "losing" ELSE "over"]
       /\ head' = [t \in Txns |-> IF IsLoser(kept, t) THEN kept[Newest(HeadsOf(kept, t))].head ELSE 0]
  /\ target' = [t \in Txns |-> 0] /\ mark' = [t \in Txns |-> None] /\ saved' = [t \in Txns |-> {}]
  /\ UNCHANGED <<changes, acked>>
Next ==
  \/ \E t \in Txns : \/ \E r \in Rows : Change(t, r)
                     \/ Savepoint(t) \/ RollBackTo(t) \/ GoOn(t) \/ Abort(t) \/ UndoPart(t) \/ Compensate(t) \/ End(t)
                     \/ Commit(t) \/ Ack(t)
  \/ Flush \/ Crash
Spec == Init /\ [][Next]_vars
Fair == Spec /\ \A t \in Txns : WF_vars(Compensate(t)) /\ WF_vars(End(t)) /\ WF_vars(GoOn(t))
-----------------------------------------------------------------------------
(* T4: nothing is compensated twice.                                          *)
UndoneOnce == \A i, j \in DOMAIN log : i # j /\ log[i].kind = "clr" /\ log[j].kind = "clr" => log[i].at # log[j].at
(* A compensation moves the head down, whatever happened between.             *)
HeadFalls == \A i \in DOMAIN log : log[i].kind = "clr" => log[i].head < log[i].at
HeadIsRight == \A t \in Txns : state[t] \notin {"committed", "over"} =>
  head[t] = (IF Left(t) = {} THEN 0 ELSE Newest(Left(t)))
(* T1: what is committed is whole, what is rolled back is gone.               *)
AllOrNothing == \A t \in Txns :
  /\ Has(log, t, "commit") => state[t] = "committed"
  /\ Has(log, t, "end") => Left(t) = {}
RECURSIVE Seen(_)
Seen(v) == IF v.by = 0 \/ IsOver(v.by) THEN v ELSE Seen(log[v.at].before)
WrittenBy(r) == {i \in DOMAIN log : log[i].kind = "change" /\ log[i].row = r /\ Has(log, log[i].txn, "commit") /\ i \in Left(log[i].txn)}
(* A reader sees the last commit, whatever is at work or half undone: whoever *)
(* is over counts as committed, also if it was rolled back.                   *)
RowsAreRight == \A r \in Rows :
  Seen(row[r]) = (IF WrittenBy(r) = {} THEN Bare ELSE [by |-> log[Newest(WrittenBy(r))].txn, at |-> Newest(WrittenBy(r))])
AckedIsKept == \A t \in acked : Has(log, t, "commit")
(* A rollback to a savepoint leaves what was there.                           *)
SavepointIsKept == [][\A t \in Txns : state[t] = "back" /\ state'[t] = "active" => Left(t) = saved[t]]_vars
(* A rollback ends.                                                           *)
Finishes == \A t \in Txns : (state[t] \in Rolling) ~> (state[t] \notin Rolling)
(* A loser is rolled back in the end.                                         *)
LosersEnd == \A t \in Txns : (state[t] = "losing") ~> (state[t] = "over")
=============================================================================
