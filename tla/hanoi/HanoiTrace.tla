----------------------------- MODULE HanoiTrace -----------------------------
(* Events of aether-lsm (schedule), and of who flushes, as steps of Hanoi.    *)
EXTENDS Hanoi, Traces
Step(e) ==
  LET v(i) == Value(e, i) IN
  CASE Action(e) = "Flush"  -> Flush
    [] Action(e) = "Round"  -> Round(v(2) = 1) /\ saved = v(1)
    [] Action(e) = "Start"  -> Start(v(1))
    [] Action(e) = "Pay"    -> /\ Pay(v(1), v(2) = 1)
                               /\ (v(2) = 1) => (saved' = saved + 1)
                               /\ (v(3) = 1) = (left[v(1)] > 0)
    [] Action(e) = "Spend"  -> Spend(v(1))
    [] Action(e) = "Arrive" -> Arrive(v(1)) /\ v(2) = v(1) + 1
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [flushes |-> flushes, waiting |-> waiting, left |-> left, ready |-> ready, due |-> due, paid |-> paid,
   saved |-> saved, out |-> out]>>)
=============================================================================
