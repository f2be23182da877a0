------------------------- MODULE VersionInstallTrace ------------------------
(* Events of aether-lsm, and of threads that flush, merge and read, as steps  *)
(* of VersionInstall.  A run is told as the bits of its flushes.              *)
EXTENDS VersionInstall, Traces
SetOf(bits) == {f \in 1..FlushesMax : (bits \div (2 ^ (f - 1))) % 2 = 1}
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "PlanFlush" -> PlanFlush(t) /\ edit'[t].come = {{v(1)}}
    [] Action(e) = "PlanMerge" -> PlanMerge(t, SetOf(v(1)), SetOf(v(2)))
    [] Action(e) = "LoadWord"  -> LoadWord(t) /\ seen'[t].number = v(1)
    [] Action(e) = "ReadSlot"  -> ReadSlot(t, v(1) = 1)
    [] Action(e) = "LetGo"     -> LetGo(t)
    [] Action(e) = "Prepare"   -> base[t].number = v(1) /\ Prepare(t) /\ (pc'[t] = "prepared") = (v(2) = 1)
    [] Action(e) = "Stale"     -> Stale(t)
    [] Action(e) = "Fill"      -> Fill(t, v(1) + 1)
    [] Action(e) = "Install"   -> base[t].number + 1 = v(1) /\ Install(t, v(2) = 1)
    [] Action(e) = "Empty"     -> Empty(t)
    [] Action(e) = "Doom"      -> Doom(t, SetOf(v(1)))
    [] Action(e) = "Done"      -> Done(t)
    [] Action(e) = "Delete"    -> Delete(SetOf(v(1)))
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [word |-> word, slots |-> slots, taken |-> taken, list |-> list, flushes |-> flushes, pc |-> pc, seen |-> seen,
   base |-> base, edit |-> edit, made |-> made, own |-> own, doomed |-> doomed, deleted |-> deleted]>>)
=============================================================================
