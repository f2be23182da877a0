--------------------------- MODULE LeftRightTrace ---------------------------
(* Events of aether-lsm, and of threads that read and replace a value, as     *)
(* steps of LeftRight.  The value is its number.                              *)
EXTENDS LeftRight, Traces
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "ChooseSide"  -> side = v(1) /\ ChooseSide(t, v(2) + 1)
    [] Action(e) = "EnterSide"   -> EnterSide(t, v(1) = 1)
    [] Action(e) = "ConfirmSide" -> ConfirmSide(t) /\ (pc'[t] = "in") = (v(1) = 1)
    [] Action(e) = "LeaveSide"   -> saw[t] = v(1) /\ LeaveSide(t)
    [] Action(e) = "BeginWrite"  -> BeginWrite
    [] Action(e) = "LockSide"    -> LockSide /\ writing' = <<v(1), v(2) + 1>>
    [] Action(e) = "WriteSide"   -> writing = <<v(1), v(2) + 1>> /\ WriteSide
    [] Action(e) = "SendReaders" -> SendReaders
    [] Action(e) = "EndWrite"    -> EndWrite
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [side |-> side, copy |-> copy, writing |-> writing, newest |-> newest, step |-> step, shard |-> shard,
   pc |-> pc, at |-> at, place |-> place, saw |-> saw, from |-> from]>>)
=============================================================================
