----------------------------- MODULE UndoTrace ------------------------------
(* Events of transactions, their rollbacks and the log under them as steps of *)
(* Undo.  Who changes a row has read it: what stood there is what a reader    *)
(* sees, or the transaction's own.                                            *)
EXTENDS Undo, Traces
Found(t, r) == IF row[r].by = t THEN row[r].at ELSE Seen(row[r]).at
IsAt(place) == Len(log') = place
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Change"     -> (v(2) <= 2 => Found(t, v(2)) = v(3)) /\ Change(t, v(2)) /\ IsAt(v(1))
    [] Action(e) = "Savepoint"  -> Savepoint(t)
    [] Action(e) = "RollBackTo" -> RollBackTo(t)
    [] Action(e) = "GoOn"       -> GoOn(t)
    [] Action(e) = "Abort"      -> Abort(t)
    [] Action(e) = "UndoPart"   -> UndoPart(t) /\ IsAt(v(1))
    [] Action(e) = "Compensate" -> Compensate(t) /\ IsAt(v(1)) /\ head'[t] = v(2)
    [] Action(e) = "End"        -> End(t) /\ IsAt(v(1))
    [] Action(e) = "Commit"     -> Commit(t) /\ IsAt(v(1))
    [] Action(e) = "Flush"      -> FlushTo(v(1))
    [] Action(e) = "Ack"        -> Ack(t)
    [] Action(e) = "Crash"      -> Crash /\ durable' = v(1)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [log |-> log, durable |-> durable, row |-> row, state |-> state, head |-> head, target |-> target,
   mark |-> mark, acked |-> acked]>>)
=============================================================================
