-------------------------- MODULE CheckpointTrace ---------------------------
(* Events of aether-recovery and of pool and log below it as steps of         *)
(* Checkpoint.  A page is marked from the claim position on, and the claim    *)
(* comes later: the code's redo start may be lower than the spec's, which     *)
(* keeps more log and is as right (HeadAfter).                                *)
EXTENDS Checkpoint, Traces
IsNoHigher(e, than) == \A s \in Streams : Value(e, s) <= than[s]
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Change"        -> Change(t) /\ Len(log'[Home(t)]) = v(1)
    [] Action(e) = "Compensate"    -> Compensate(t) /\ Len(log'[Home(t)]) = v(1)
    [] Action(e) = "Commit"        -> Commit(t) /\ Len(log'[Home(t)]) = v(1)
    [] Action(e) = "MoveHead"      -> MoveHead(t) /\ head'[t] = v(1)
    [] Action(e) = "Flush"         -> FlushTo(v(1), v(2))
    [] Action(e) = "Clean"         -> Clean(t, v(1))
    [] Action(e) = "ReadPositions" -> ReadPositions
    [] Action(e) = "ReadFrames"    -> ReadFrames /\ IsNoHigher(e, start')
    [] Action(e) = "ReadList"      -> ReadList(t) /\ list'[t] = v(1)
    [] Action(e) = "ReadVectors"   -> ReadVectors
    [] Action(e) = "Install"       -> Install /\ IsNoHigher(e, redoStart')
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [log |-> log, durable |-> durable, chain |-> chain, latched |-> latched, head |-> head, firstDirty |-> firstDirty,
   step |-> step, start |-> start, list |-> list, need |-> need, redoStart |-> redoStart, listed |-> listed]>>)
=============================================================================
