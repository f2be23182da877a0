----------------------------- MODULE FramesTrace -----------------------------
(* Events of aether-buffer, and of threads that read and change pages, as     *)
(* steps of Frames.                                                           *)
EXTENDS Frames, Traces
Step(e) ==
  LET a == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Start"        -> Start(a, v(1)) /\ hint[v(1)] = v(2)
    [] Action(e) = "Peek"         -> Peek(a)
    [] Action(e) = "Stray"        -> Stray(a)
    [] Action(e) = "Compare"      -> Compare(a) /\ reader'[a].step = (IF v(1) = 1 THEN "found" ELSE "astray")
    [] Action(e) = "Translate"    -> Translate(a) /\ table[reader[a].page] = v(1)
    [] Action(e) = "Repair"       -> Repair(a) /\ reader[a].frame = v(1)
    [] Action(e) = "ReadLeft"     -> ReadLeft(a) /\ reader'[a].left = Word(v(1), v(2))
    [] Action(e) = "ReadRight"    -> ReadRight(a) /\ reader'[a].right = Word(v(1), v(2))
    [] Action(e) = "Validate"     -> Validate(a) /\ reader'[a].step = (IF v(1) = 1 THEN "sure" ELSE "idle")
    [] Action(e) = "Use"          -> Use(a)
    [] Action(e) = "Find"         -> Find(a, v(1)) /\ table[v(1)] = v(2)
    [] Action(e) = "Latch"        -> Latch(a)
    [] Action(e) = "Check"        -> Check(a) /\ writer'[a].step = (IF v(1) = 1 THEN "sure" ELSE "idle")
    [] Action(e) = "WriteLeft"    -> WriteLeft(a)
    [] Action(e) = "WriteRight"   -> WriteRight(a)
    [] Action(e) = "Unlatch"      -> Unlatch(a)
    [] Action(e) = "Take"         -> Take(a, v(1), v(2))
    [] Action(e) = "Enter"        -> Enter(a)
    [] Action(e) = "GiveUp"       -> GiveUp(a)
    [] Action(e) = "Load"         -> Load(a) /\ file[loader[a].page] = v(1)
    [] Action(e) = "Loaded"       -> Loaded(a)
    [] Action(e) = "Cool"         -> Cool(v(1))
    [] Action(e) = "Touch"        -> Touch(v(1))
    [] Action(e) = "StartWriting" -> StartWriting(v(1))
    [] Action(e) = "EndWriting"   -> EndWriting(v(1))
    [] Action(e) = "Seize"        -> Seize(a, v(1))
    [] Action(e) = "Spare"        -> evictor[a].frame = v(1) /\ Spare(a)
    [] Action(e) = "Evict"        -> evictor[a].frame = v(1) /\ Evict(a)
    [] Action(e) = "Free"         -> evictor[a].frame = v(1) /\ Free(a)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [version |-> version, held |-> held, resident |-> resident, mode |-> mode, left |-> left, right |-> right,
   dirty |-> dirty, table |-> table, hint |-> hint, file |-> file, truth |-> truth, reader |-> reader,
   writer |-> writer, loader |-> loader, evictor |-> evictor]>>)
=============================================================================
