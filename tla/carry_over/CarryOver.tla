----------------------------- MODULE CarryOver -----------------------------
(* Rows in memory go into a slice, so that the log below can go; what is not  *)
(* settled then is logged again, in whatever stream comes next.  Code:        *)
(* aether-index (resident), aether-recovery (checkpoint).                     *)
(*                                                                            *)
(* A row has a stripe of its own: its number rises with each change.  Its     *)
(* versions are their writers, the newest last; those above NumPuts delete.   *)
(* A slice has all rows and is one record; a run with the list that names it  *)
(* is the same.  A crash is no action but at the end of a trace: the          *)
(* invariants look at every crash possible in a state.                        *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumRows, NumTxns, NumPuts, RecordsMax, SlicesMax,
          First    \* whose version of all rows is in the first slice; 0: nobody's
VARIABLES
  log, durable,  \* stream -> records [kind, txn, row, psn, by, known, lv]; durable prefix
  row, busy,     \* row -> as it stands [psn, by, lv]; the change of it under way
  state, commit, \* transaction: how far it is; the vector of its commit
  floor,         \* [first, writing], stream -> the first record that the slice needs
  slice,         \* the slice being written [step, known, left, got, noted, isLate, need]
  last,          \* the newest slice [rows, lv]
  point,         \* the checkpoint being taken [step, start, need]
  redoStart,     \* the control file: records that are gone
  found          \* what a restart has found, and what it should have
vars == <<log, durable, row, busy, state, commit, floor, slice, last, point, redoStart, found>>
Streams == 1..NumStreams
Rows == 1..NumRows
Txns == 1..NumTxns
Home(t) == ((t - 1) % NumStreams) + 1
Unset == 999
Zero == [s \in Streams |-> 0]
Never == [s \in Streams |-> Unset]
Nothing == [r \in Rows |-> 0]
FirstRows == [r \in Rows |-> First]
Free == [step |-> "free"]
Idle == [step |-> "idle", known |-> Nothing, left |-> {}, got |-> Nothing, noted |-> Nothing, isLate |-> FALSE, need |-> Zero]
NoPoint == [step |-> "idle", start |-> Zero, need |-> Zero]
Unfound == [rows |-> Nothing, right |-> Nothing]
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
Join(a, b) == [s \in Streams |-> Max(a[s], b[s])]
Meet(a, b) == [s \in Streams |-> Min(a[s], b[s])]
IsIn(a, b) == \A s \in Streams : a[s] <= b[s]
Ends == [s \in Streams |-> Len(log[s])]
Top(by) == by[Len(by)]
Shown(by) == IF by = <<>> THEN 0 ELSE IF Top(by) > NumPuts THEN 0 ELSE Top(by)
Init ==
  /\ log = [s \in Streams |-> <<>>] /\ durable = Zero
  /\ row = [r \in Rows |-> [psn |-> 0, by |-> IF First = 0 THEN <<>> ELSE <<First>>, lv |-> Zero]] /\ busy = [r \in Rows |-> Free]
  /\ state = [t \in Txns |-> IF t = First THEN "over" ELSE "new"] /\ commit = [t \in Txns |-> Zero]
  /\ floor = [first |-> Never, writing |-> Never] /\ slice = Idle /\ last = [rows |-> FirstRows, lv |-> Zero]
  /\ point = NoPoint /\ redoStart = Zero /\ found = Unfound
-----------------------------------------------------------------------------
(* A record's vector has what its stream has accumulated, what it needs, and  *)
(* itself.                                                                    *)
Vector(s, needs) ==
  LET before == IF log[s] = <<>> THEN Zero ELSE log[s][Len(log[s])].lv
  IN [Join(before, needs) EXCEPT ![s] = Len(log[s]) + 1]
Logged(s, kind, t, r, psn, by, known, lv) ==
  log' = [log EXCEPT ![s] = Append(@, [kind |-> kind, txn |-> t, row |-> r, psn |-> psn, by |-> by, known |-> known, lv |-> lv])]
RECURSIVE Sum(_)
Sum(s) == IF s = 0 THEN 0 ELSE Len(log[s]) + Sum(s - 1)
HasRoom == Sum(NumStreams) + Cardinality({r \in Rows : busy[r].step = "marked"}) < RecordsMax
(* A change latches the row's stripe and marks the slice; then it is logged,  *)
(* then done.                                                                 *)
Mark(kind, t, r, s, by, needs) ==
  /\ busy[r].step = "free" /\ HasRoom
  /\ floor' = [floor EXCEPT !.first[s] = Min(@, Len(log[s]) + 1)]
  /\ busy' = [busy EXCEPT ![r] = [step |-> "marked", kind |-> kind, txn |-> t, stream |-> s, by |-> by, lv |-> needs]]
(* Who replaces a version needs its commit.                                   *)
Change(t, r) ==
  LET by == row[r].by  old == IF by = <<>> THEN Zero ELSE commit[Top(by)] IN
  /\ state[t] \in {"new", "active"} /\ (IF by = <<>> THEN TRUE ELSE state[Top(by)] = "over")
  /\ (\A i \in DOMAIN by : by[i] # t) /\ (t > NumPuts => Shown(by) # 0)
  /\ Mark("change", t, r, Home(t), Append(by, t), old) /\ state' = [state EXCEPT ![t] = "active"]
  /\ UNCHANGED <<log, durable, row, commit, slice, last, point, redoStart, found>>
Undo(t, r) ==
  /\ state[t] \in {"active", "undoing"} /\ row[r].by # <<>> /\ Top(row[r].by) = t
  /\ \A q \in Rows : busy[q].step # "free" => busy[q].txn # t
  /\ Mark("undo", t, r, Home(t), SubSeq(row[r].by, 1, Len(row[r].by) - 1), Zero) /\ state' = [state EXCEPT ![t] = "undoing"]
  /\ UNCHANGED <<log, durable, row, commit, slice, last, point, redoStart, found>>
Claim(r) ==
  LET c == busy[r]  lv == Vector(c.stream, Join(row[r].lv, c.lv))  psn == row[r].psn + 1 IN
  /\ c.step = "marked"
  /\ Logged(c.stream, c.kind, c.txn, r, psn, c.by, Nothing, lv)
  /\ busy' = [busy EXCEPT ![r].step = "claimed", ![r].lv = lv]
  /\ UNCHANGED <<durable, row, state, commit, floor, slice, last, point, redoStart, found>>
Apply(r) ==
  /\ busy[r].step = "claimed" /\ busy' = [busy EXCEPT ![r] = Free]
  /\ row' = [row EXCEPT ![r] = [psn |-> row[r].psn + 1, by |-> busy[r].by, lv |-> busy[r].lv]]
  /\ UNCHANGED <<log, durable, state, commit, floor, slice, last, point, redoStart, found>>
Commit(t) ==
  LET lv == Vector(Home(t), Zero) IN
  /\ state[t] = "active" /\ HasRoom /\ \A r \in Rows : busy[r].step # "free" => busy[r].txn # t
  /\ Logged(Home(t), "commit", t, 0, 0, <<>>, Nothing, lv)
  /\ commit' = [commit EXCEPT ![t] = lv] /\ state' = [state EXCEPT ![t] = "over"]
  /\ UNCHANGED <<durable, row, busy, floor, slice, last, point, redoStart, found>>
FlushTo(s, end) ==
  /\ durable[s] < end /\ end <= Len(log[s]) /\ durable' = [durable EXCEPT ![s] = end]
  /\ UNCHANGED <<log, row, busy, state, commit, floor, slice, last, point, redoStart, found>>
Flush(s) == FlushTo(s, Len(log[s]))
Settled(t) == state[t] = "over" /\ IsIn(commit[t], durable)
(* A row that nobody can see any more is taken out; nothing is logged.        *)
Purge(r) ==
  /\ busy[r].step = "free" /\ row[r].by # <<>> /\ Shown(row[r].by) = 0 /\ Settled(Top(row[r].by))
  /\ row' = [row EXCEPT ![r].by = <<>>]
  /\ UNCHANGED <<log, durable, busy, state, commit, floor, slice, last, point, redoStart, found>>
-----------------------------------------------------------------------------
(* A slice: what it needs is kept, and counted anew; then up to which change  *)
(* it knows each row; then the rows.                                          *)
Slices == {p \in UNION {{<<s, i>> : i \in DOMAIN log[s]} : s \in Streams} : log[p[1]][p[2]].kind = "slice"}
BeginSlice ==
  /\ slice.step = "idle" /\ floor.first # Never /\ Cardinality(Slices) < SlicesMax
  /\ slice' = [Idle EXCEPT !.step = "known", !.left = Rows, !.got = last.rows]
  /\ floor' = [first |-> Never, writing |-> Meet(floor.first, floor.writing)]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, last, point, redoStart, found>>
Went(r, to) == IF slice.left = {r} THEN [slice EXCEPT !.left = Rows, !.step = to] ELSE [slice EXCEPT !.left = @ \ {r}]
ReadKnown(r) ==
  /\ slice.step = "known" /\ r \in slice.left
  /\ busy[r].step = "free"
  /\ slice' = [Went(r, "gather") EXCEPT !.known[r] = row[r].psn]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, last, point, redoStart, found>>
RECURSIVE SettledIn(_)
SettledIn(by) == IF by = <<>> THEN 0 ELSE IF Settled(Top(by)) THEN Shown(by) ELSE SettledIn(SubSeq(by, 1, Len(by) - 1))
(* Who has committed durably may not look so yet.  What has changed since may *)
(* be left for the next slice (runs only): then this one waits, for it stands *)
(* for the versions before, too.                                              *)
Gather(r, how) ==
  LET by == row[r].by IN
  /\ slice.step = "gather" /\ r \in slice.left
  /\ how = "later" => row[r].psn > slice.known[r]
  /\ how = "settled" => IF by = <<>> THEN TRUE ELSE Settled(Top(by))
  /\ how = "unsettled" => by # <<>>
  /\ slice' = [Went(r, "copy") EXCEPT !.noted[r] = IF how = "unsettled" THEN row[r].psn ELSE 0,
                                      !.isLate = @ \/ how = "later",
                                      !.got[r] = IF how = "later" THEN @ ELSE SettledIn(by)]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, last, point, redoStart, found>>
(* A row that is not settled is logged again as it is, unless it has changed  *)
(* since; also if it has been taken out since, for the slice has an older one.*)
(* One that is gone may be: nobody knows its number any more.                 *)
IsDue(r) == slice.noted[r] # 0 /\ row[r].psn = slice.noted[r]
MayCopy(r) == slice.noted[r] # 0 /\ (row[r].psn = slice.noted[r] \/ row[r].by = <<>>)
Copy(r, s) ==
  /\ slice.step = "copy" /\ MayCopy(r) /\ Mark("copy", 0, r, s, row[r].by, Zero)
  /\ UNCHANGED <<log, durable, row, state, commit, slice, last, point, redoStart, found>>
(* The copies may stand in other streams than the slice will.                 *)
WaitForStreams ==
  /\ slice.step = "copy" /\ (slice.noted # Nothing \/ slice.isLate) /\ (\A r \in Rows : ~IsDue(r))
  /\ slice' = [slice EXCEPT !.step = "wait", !.need = Ends]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, last, point, redoStart, found>>
Put(s) ==
  LET lv == Vector(s, last.lv) IN
  /\ slice.step = (IF slice.noted = Nothing /\ ~slice.isLate THEN "copy" ELSE "wait") /\ HasRoom
  /\ IsIn(slice.need, durable)
  /\ Logged(s, "slice", 0, 0, 0, slice.got, slice.known, lv)
  /\ last' = [rows |-> slice.got, lv |-> lv] /\ slice' = [Idle EXCEPT !.step = "put"]
  /\ UNCHANGED <<durable, row, busy, state, commit, floor, point, redoStart, found>>
Written ==
  /\ slice.step = "put" /\ slice' = Idle /\ floor' = [floor EXCEPT !.writing = Never]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, last, point, redoStart, found>>
-----------------------------------------------------------------------------
(* A checkpoint: positions, what the slice needs, vectors; it counts once all *)
(* is durable up to those.  Others may need more.                             *)
ReadPositions ==
  /\ point.step = "idle" /\ point' = [step |-> "floors", start |-> Ends, need |-> Zero]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, slice, last, redoStart, found>>
Needed == Meet(floor.first, floor.writing)
Lowered == [s \in Streams |-> Min(point.start[s], Needed[s] - 1)]
ReadFloors(start) ==
  /\ point.step = "floors" /\ IsIn(start, Lowered) /\ point' = [point EXCEPT !.step = "vectors", !.start = start]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, slice, last, redoStart, found>>
ReadVectors ==
  /\ point.step = "vectors" /\ point' = [point EXCEPT !.step = "wait", !.need = Ends]
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, slice, last, redoStart, found>>
Install ==
  /\ point.step = "wait"
  /\ IsIn(point.need, durable)
  /\ redoStart' = Join(redoStart, point.start) /\ point' = NoPoint
  /\ UNCHANGED <<log, durable, row, busy, state, commit, floor, slice, last, found>>
-----------------------------------------------------------------------------
(* After a crash each stream has what is durable, perhaps more, and is cut    *)
(* back until nothing needs what is lost: that may be below what is durable.  *)
(* Of a row the newest record counts that the newest slice does not know, and *)
(* losers are undone.                                                         *)
Lowest == CHOOSE n \in {durable[s] : s \in Streams} : \A s \in Streams : n <= durable[s]
Highest == CHOOSE n \in {Len(log[s]) : s \in Streams} : \A s \in Streams : n >= Len(log[s])
Survivors == {kept \in [Streams -> Lowest..Highest] : \A s \in Streams : durable[s] <= kept[s] /\ kept[s] <= Len(log[s])}
RECURSIVE Met(_, _, _), Largest(_)
Met(s, i, cut) == IF i < cut[s] /\ IsIn(log[s][i + 1].lv, cut) THEN Met(s, i + 1, cut) ELSE i
Largest(cut) == LET next == [s \in Streams |-> Met(s, 0, cut)] IN IF next = cut THEN cut ELSE Largest(next)
Cuts == {Largest(kept) : kept \in Survivors}
Records(from, to) == {log[p[1]][p[2]] : p \in UNION {{<<s, i>> : i \in (from[s] + 1)..to[s]} : s \in Streams}}
IsLoser(t, kept) == state[t] # "over" \/ ~IsIn(commit[t], kept)
Undone(record, kept) ==
  LET by == record.by IN
  Shown(IF by # <<>> /\ IsLoser(Top(by), kept) THEN SubSeq(by, 1, Len(by) - 1) ELSE by)
Newest(S) == CHOOSE a \in S : \A b \in S : a.psn >= b.psn
Image(kept) ==
  LET S == {a \in Records(Zero, kept) : a.kind = "slice"} IN
  IF S = {} THEN [by |-> FirstRows, known |-> Nothing] ELSE CHOOSE a \in S : \A b \in S : IsIn(b.lv, a.lv)
Redone(r, kept) ==
  LET image == Image(kept)
      S == {a \in Records(redoStart, kept) : a.row = r /\ a.psn > image.known[r]}
  IN IF S = {} THEN image.by[r] ELSE Undone(Newest(S), kept)
(* What the whole log says, without copies and slices.                        *)
Right(r, kept) ==
  LET S == {a \in Records(Zero, kept) : a.row = r /\ a.kind # "copy"} IN
  IF S = {} THEN FirstRows[r] ELSE Undone(Newest(S), kept)
Restart(kept) ==
  /\ kept \in Cuts
  /\ found' = [rows |-> [r \in Rows |-> Redone(r, kept)], right |-> [r \in Rows |-> Right(r, kept)]]
  /\ log' = [s \in Streams |-> <<>>] /\ durable' = Zero
  /\ row' = [r \in Rows |-> [psn |-> 0, by |-> <<>>, lv |-> Zero]] /\ busy' = [r \in Rows |-> Free]
  /\ state' = [t \in Txns |-> "over"] /\ commit' = [t \in Txns |-> Zero]
  /\ floor' = [first |-> Never, writing |-> Never] /\ slice' = [Idle EXCEPT !.step = "over"]
  /\ last' = [rows |-> Nothing, lv |-> Zero] /\ point' = [NoPoint EXCEPT !.step = "over"] /\ redoStart' = Zero
Next ==
  \/ \E t \in Txns, r \in Rows : Change(t, r) \/ Undo(t, r)
  \/ \E r \in Rows : Claim(r) \/ Apply(r) \/ Purge(r) \/ ReadKnown(r)
  \/ \E t \in Txns : Commit(t)
  \/ \E s \in Streams : Flush(s) \/ Put(s)
  \/ \E r \in Rows, how \in {"settled", "unsettled", "later"} : Gather(r, how)
  \/ \E r \in Rows, s \in Streams : Copy(r, s)
  \/ \E held \in SUBSET Streams : ReadFloors([s \in Streams |-> IF s \in held THEN Min(redoStart[s], Lowered[s]) ELSE Lowered[s]])
  \/ \E kept \in Cuts : Restart(kept)
  \/ BeginSlice \/ WaitForStreams \/ Written \/ ReadPositions \/ ReadVectors \/ Install
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* After any crash, slice and log above the redo start say of each row what   *)
(* the whole log would say.                                                   *)
RowsAreRight == \A kept \in Cuts : \A r \in Rows : Redone(r, kept) = Right(r, kept)
FoundIsRight == found.rows = found.right
StartIsInside == \A kept \in Cuts : IsIn(redoStart, kept)
(* What no slice has lies above the redo start.                               *)
FloorHolds == IsIn(redoStart, [s \in Streams |-> Needed[s] - 1])
=============================================================================
