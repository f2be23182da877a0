--------------------------- MODULE StreamCutTrace ---------------------------
(* Events of aether-wal, of the simulated disk, and of transactions that use  *)
(* three log streams, as steps of StreamCut.  Positions are numbers of        *)
(* records.                                                                   *)
EXTENDS StreamCut, Traces
Vector(e, i) == [s \in Streams |-> Value(e, i + s - 1)]
(* Who asks for others' commits is only told what is durable.                 *)
Told(t, e) == IF t = 0 THEN phase = "open" /\ Covers(durable, Vector(e, 1)) /\ UNCHANGED vars ELSE Ack(t)
Changed(t, e) ==
  LET r == Value(e, 1)   q == Value(e, 2)   p == PageOf(r) IN
  /\ row[r] = Value(e, 3) /\ psn[p] + 1 = Value(e, 4)
  /\ Change(t, r, IF q = 0 THEN {} ELSE {q}) /\ pageLv'[p] = Vector(e, 5)
Compensated(t, e) ==
  LET r == Value(e, 1)   p == PageOf(r) IN
  /\ undo[t] # <<>> /\ undo[t][Len(undo[t])].row = r /\ psn[p] + 1 = Value(e, 3)
  /\ Compensate(t, Home(t)) /\ row'[r] = Value(e, 2) /\ pageLv'[p] = Vector(e, 4)
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Change"     -> Changed(t, e)
    [] Action(e) = "Commit"     -> Commit(t) /\ commitLv'[t] = Vector(e, 1)
    [] Action(e) = "RollBack"   -> RollBack(t)
    [] Action(e) = "Compensate" -> Compensated(t, e)
    [] Action(e) = "Ack"        -> Told(t, e)
    [] Action(e) = "Flush"      -> FlushTo(v(1), v(2))
    [] Action(e) = "FailSync"   -> FailSync(v(1))
    [] Action(e) = "WritePage"  -> WritePage(v(1))
    [] Action(e) = "Die"        -> phase = "open" /\ LostTo(FALSE, Vector(e, 1))
    [] Action(e) = "PowerCut"   -> (phase = "open" \/ device # Ends) /\ LostTo(TRUE, Vector(e, 1))
    [] Action(e) = "CutBack"    -> Cut[v(1)] = v(2) /\ CutBack(v(1))
    [] Action(e) = "Open"       -> Cut = Vector(e, 1) /\ Open
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [position |-> position, device |-> device, durable |-> durable, slv |-> slv, poisoned |-> poisoned,
   row |-> row, psn |-> psn, pageLv |-> pageLv, state |-> state, readLv |-> readLv, commitLv |-> commitLv,
   incarnations |-> incarnations, phase |-> phase, cut |-> IF phase = "down" THEN Cut ELSE Zero]>>)
=============================================================================
