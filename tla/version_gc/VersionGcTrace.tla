--------------------------- MODULE VersionGcTrace ---------------------------
(* Events of aether-txn and aether-index, and of transactions that read and   *)
(* change a row, as steps of VersionGc.  A reader is any snapshot.  999: the  *)
(* reading came to no end.                                                    *)
EXTENDS VersionGc, Traces
Unread == 999
Shows(r, value) == pc'[r] = "answered" /\ value \in {seen'[r].value, Unread}
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Change"    -> Change(t) /\ row'.value = v(1)
    [] Action(e) = "Commit"    -> Commit(t) /\ ts'[t] = v(1)
    [] Action(e) = "Undo"      -> Undo(t)
    [] Action(e) = "End"       -> End(t)
    [] Action(e) = "Advance"   -> Advance
    [] Action(e) = "StripRow"  -> row.by = t /\ StripRow
    [] Action(e) = "Enter"     -> v(1) \in {clock, durable} /\ Enter(t, v(1))
    [] Action(e) = "ReadRow"   -> ReadRow(t) /\ (IF v(1) = 0 THEN Shows(t, v(2)) ELSE pc'[t] = "older" /\ seen'[t].by = v(1))
    [] Action(e) = "Older"     -> (IF v(1) = 0 THEN Again(t) ELSE Behind(t) /\ (IF v(1) = 1 THEN pc'[t] = "older" ELSE Shows(t, v(2))))
    [] Action(e) = "LetGo"     -> LetGo(t)
    [] Action(e) = "Expire"    -> \E r \in Readers : at[r] = v(1) /\ Expire(r)
    [] Action(e) = "GcDurable" -> GcDurable /\ low' = v(1)
    [] Action(e) = "GcOldest"  -> GcOldest /\ horizon' = v(1)
    [] Action(e) = "Forget"    -> Forget(t)
    [] Action(e) = "Trim"      -> Trim(t)
    [] Action(e) = "GcEnd"     -> GcEnd
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [row |-> row, undo |-> undo, gone |-> gone, state |-> state, ts |-> ts, until |-> until, table |-> table,
   clock |-> clock, durable |-> durable, pc |-> pc, at |-> at, seen |-> seen, step |-> step, low |-> low,
   horizon |-> horizon, expired |-> expired]>>)
=============================================================================
