--------------------------- MODULE PageRedoTrace ----------------------------
(* Events of aether-recovery, of pool and log below it, of the disk, and of   *)
(* one who uses a page, as steps of PageRedo.                                 *)
EXTENDS PageRedo, Traces
Step(e) ==
  LET v(i) == Value(e, i) IN
  CASE Action(e) = "Allocate"   -> v(1) > floor /\ Allocate(v(1) - floor)
    [] Action(e) = "Change"     -> Change /\ memory'.psn = v(1)
    [] Action(e) = "Free"       -> Free /\ memory.psn = v(1)
    [] Action(e) = "Flush"      -> FlushTo(v(1))
    [] Action(e) = "CopyOut"    -> CopyOut /\ copy'.psn = v(1)
    [] Action(e) = "CopyOthers" -> CopyOthers
    [] Action(e) = "WriteArea"  -> WriteArea
    [] Action(e) = "WritePlace" -> WritePlace
    [] Action(e) = "Sync"       -> Sync
    [] Action(e) = "Checkpoint" -> Checkpoint(v(1))
    [] Action(e) = "Crash"      -> Crash(v(1) = 1) /\ durable' = v(2)
    [] Action(e) = "Repair"     -> Repair /\ Restores = (v(1) = 1)
    [] Action(e) = "SyncRepair" -> SyncRepair
    [] Action(e) = "Redo"       -> Redo /\ memory'.psn = v(1) /\ live' = (v(2) = 1)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [log |-> log, durable |-> durable, redoStart |-> redoStart, live |-> live, floor |-> floor, memory |-> memory,
   first |-> first, stage |-> stage, copy |-> copy, copyEnd |-> copyEnd, writing |-> writing, place |-> place,
   placeDevice |-> placeDevice, area |-> area, areaDevice |-> areaDevice, phase |-> phase]>>)
=============================================================================
