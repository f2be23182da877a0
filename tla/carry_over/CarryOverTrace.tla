--------------------------- MODULE CarryOverTrace ---------------------------
(* Events of rows in memory, of transactions, log and checkpoints as steps of *)
(* CarryOver; of slices, so that nothing is left for later.  Publications of  *)
(* a stream that make no record of the spec durable are no steps.             *)
EXTENDS CarryOver, Traces
FlushOrNot(s, end) == IF durable[s] < end THEN FlushTo(s, end) ELSE UNCHANGED vars
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Change"         -> Change(t, v(1)) /\ row[v(1)].psn + 1 = v(2)
    [] Action(e) = "Undo"           -> Undo(t, v(1)) /\ row[v(1)].psn + 1 = v(2)
    [] Action(e) = "Copy"           -> Copy(v(1), v(2))
    [] Action(e) = "Claim"          -> Claim(v(1)) /\ Len(log'[busy[v(1)].stream]) = v(2)
    [] Action(e) = "Apply"          -> Apply(v(1))
    [] Action(e) = "Commit"         -> Commit(t) /\ Home(t) = v(1) /\ Len(log'[v(1)]) = v(2)
    [] Action(e) = "Flush"          -> FlushOrNot(v(1), v(2))
    [] Action(e) = "Purge"          -> Purge(v(1))
    [] Action(e) = "BeginSlice"     -> BeginSlice
    [] Action(e) = "ReadKnown"      -> ReadKnown(v(1)) /\ slice'.known[v(1)] = v(2)
    [] Action(e) = "Gather"         -> Gather(v(1), IF v(2) = 0 THEN "settled" ELSE "unsettled") /\ slice'.noted[v(1)] = v(2)
    [] Action(e) = "WaitForStreams" -> WaitForStreams
    [] Action(e) = "Put"            -> Put(v(1)) /\ Len(log'[v(1)]) = v(2)
    [] Action(e) = "Written"        -> Written
    [] Action(e) = "ReadPositions"  -> ReadPositions
    [] Action(e) = "ReadFloors"     -> ReadFloors([s \in Streams |-> v(s)])
    [] Action(e) = "ReadVectors"    -> ReadVectors
    [] Action(e) = "Install"        -> Install /\ \A s \in Streams : redoStart'[s] = v(s)
    [] Action(e) = "Restart"        -> Restart([s \in Streams |-> v(s)]) /\ \A r \in Rows : found'.rows[r] = v(NumStreams + r)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [log |-> log, durable |-> durable, row |-> row, busy |-> busy, state |-> state, commit |-> commit, floor |-> floor,
   slice |-> slice, last |-> last, point |-> point, redoStart |-> redoStart, found |-> found]>>)
=============================================================================
