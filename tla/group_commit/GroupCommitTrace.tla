-------------------------- MODULE GroupCommitTrace --------------------------
(* Events of the whole engine as transactions commit and wait on two streams, *)
(* and the disk fails now and then, as steps of GroupCommit.                  *)
EXTENDS GroupCommit, Traces
(* Whom it rests on comes behind the place of its record.                     *)
Below_(e) == {Value(e, i) : i \in 2..Len(e[3])}
(* Who is woken by the leader's hand-over looks already.                      *)
Wakes(c) == IF pc[c] = "asleep" THEN Wake(c) ELSE pc[c] = "look" /\ UNCHANGED vars
Does(e) ==
  LET c == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Claim"          -> Below_(e) \subseteq Claimed /\ Claim(c, Below_(e)) /\ lv'[c][Home(c)] = v(1)
    [] Action(e) = "Acknowledge"    -> Acknowledge(c)
    [] Action(e) = "WaitForEarlier" -> WaitForEarlier(c)
    [] Action(e) = "LookFurther"    -> LookFurther(c) /\ poisoned = (v(1) = 1)
    [] Action(e) = "Doubt"          -> Doubt(c) /\ told'[c] = "in doubt"
    [] Action(e) = "Return"         -> Return(c)
    [] Action(e) = "Wake"           -> Wakes(c)
    [] Action(e) = "Lead"           -> Lead(c, v(1))
    [] Action(e) = "IsLed"          -> IsLed(c, v(1))
    [] Action(e) = "Follow"         -> Follow(c, v(1)) /\ pc'[c] = (IF v(2) = 1 THEN "asleep" ELSE "look")
    [] Action(e) = "Close"          -> leader[v(1)] = c /\ Close(v(1)) /\ (IF v(2) = 0 THEN stage'[v(1)] = "done" ELSE to'[v(1)] = v(3))
    [] Action(e) = "Sync"           -> leader[v(1)] = c /\ Sync(v(1))
    [] Action(e) = "FailSync"       -> leader[v(1)] = c /\ FailSync(v(1))
    [] Action(e) = "Publish"        -> leader[v(1)] = c /\ Publish(v(1)) /\ durable'[v(1)] = v(2)
    [] Action(e) = "StepDown"       -> leader[v(1)] = c /\ StepDown(v(1))
Taken == \E k \in Threads : MayComeNext(k) /\ Does(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [position |-> position, durable |-> durable, device |-> device, order |-> order, lv |-> lv, pc |-> pc,
   target |-> target, place |-> place, tried |-> tried, leader |-> leader, to |-> to, stage |-> stage,
   poisoned |-> poisoned, told |-> told]>>)
=============================================================================
