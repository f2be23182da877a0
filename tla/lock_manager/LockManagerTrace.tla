-------------------------- MODULE LockManagerTrace --------------------------
(* Events of the lock table of aether-txn, as transactions use it that lock   *)
(* the database, keyspaces and keys, as steps of LockManager.  All are under  *)
(* the table's mutex.                                                         *)
EXTENDS LockManager, Traces
Mode(i) == <<"IS", "IX", "S", "SIX", "X">>[i]
Waiting == Cardinality({t \in Txns : status'[t] = "waiting"})
(* What became of the request: the lock, a wait, or the end of the wait as    *)
(* that of a victim.                                                          *)
BecameOf(t, r, m) ==
  IF m \in Weaker(granted'[r][t]) THEN 0 ELSE IF status'[t] = "waiting" THEN 1 ELSE 2
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Request" -> Request(t, v(1), Mode(v(2))) /\ BecameOf(t, v(1), Mode(v(2))) = v(3) /\ Waiting = v(4)
    [] Action(e) = "Release" -> Release(t) /\ Waiting = v(1)
    [] Action(e) = "Timeout" -> Timeout(t) /\ Waiting = v(1)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [granted |-> granted, queue |-> queue, status |-> status]>>)
=============================================================================
