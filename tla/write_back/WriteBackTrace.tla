--------------------------- MODULE WriteBackTrace ---------------------------
(* Events of mini-transactions, of the pool's write-back, of checkpoints and  *)
(* of the disk as steps of WriteBack.                                         *)
EXTENDS WriteBack, Traces
Named(e) == {p \in Pages : Value(e, 1 + p) = 1}
Step(e) ==
  LET m == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Latch"             -> Latch(m, Named(e)) /\ at'[m] = v(1)
    [] Action(e) = "MarkDirty"         -> MarkDirty(m)
    [] Action(e) = "Claim"             -> Claim(m) /\ at'[m] = v(1)
    [] Action(e) = "Apply"             -> Apply(m) /\ \A s \in Streams : log[Home(m)][at[m]].lv[s] = v(s)
    [] Action(e) = "Flush"             -> Flush(v(1), v(2))
    [] Action(e) = "StartWriting"      -> StartWriting(v(1))
    [] Action(e) = "CopyOut"           -> CopyOut(v(1)) /\ psn[v(1)] = v(2)
    [] Action(e) = "LogIsAhead"        -> LogIsAhead
    [] Action(e) = "WritePage"         -> WritePage(v(1))
    [] Action(e) = "BeginSync"         -> BeginSync
    [] Action(e) = "EndSync"           -> EndSync
    [] Action(e) = "ReadPositions"     -> ReadPositions
    [] Action(e) = "ReadFirstDirty"    -> ReadFirstDirty(v(1))
    [] Action(e) = "ReadWriting"       -> ReadWriting(v(1))
    \* The code reads one stream's position after the other: it may have seen an older one, never a newer.
    [] Action(e) = "PublishCheckpoint" -> PublishCheckpoint /\ \A s \in Streams : v(s) <= redoStart'[s]
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [log |-> log, durable |-> durable, psn |-> psn, latch |-> latch, firstDirty |-> firstDirty, writing |-> writing,
   step |-> step, pages |-> pages, at |-> at, stage |-> stage, batch |-> batch, copy |-> copy, copyLv |-> copyLv,
   scan |-> scan, low |-> low, half |-> half, need |-> need, redoStart |-> redoStart]>>)
=============================================================================
