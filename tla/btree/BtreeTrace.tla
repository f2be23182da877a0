----------------------------- MODULE BtreeTrace ------------------------------
(* Events of aether-index, and of threads that look rows up, put and delete   *)
(* them, as steps of Btree.                                                   *)
EXTENDS Btree, Traces
Kind(n) == CASE n = 1 -> "get" [] n = 2 -> "put" [] n = 3 -> "delete"
(* What was seen of a row must be so; what a page has room for, the code      *)
(* knows; 2: nothing was asked.                                               *)
Saw(t, seen) ==
  LET asked == page[th[t].node].level = 0 /\ seen # 2
      is == IF asked THEN seen = 1 ELSE th[t].key \in page[th[t].node].keys
  IN (asked /\ th[t].goal = "row" => is = (th[t].key \in page[th[t].node].keys)) /\ Look(t, is)
Below(n, sep) == {k \in n.keys : k < sep}
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Begin"         -> Begin(t, Kind(v(1)), v(2))
    [] Action(e) = "FixRoot"       -> FixRoot(t)
    [] Action(e) = "Look"          -> At(t, "look") /\ Saw(t, v(1))
    [] Action(e) = "FixChild"      -> FixChild(t) /\ th[t].next = v(1)
    [] Action(e) = "Couple"        -> Couple(t) /\ th'[t].pc = "look"
    [] Action(e) = "Answer"        -> Answer(t) /\ th'[t].pc = "answered"
    [] Action(e) = "Return"        -> Return(t)
    [] Action(e) = "Upgrade"       -> Upgrade(t) /\ th'[t].pc = "write"
    [] Action(e) = "Write"         -> Write(t, v(1) = 1) /\ (v(1) = 1) = (th'[t].goal # "split")
    [] Action(e) = "Release"       -> Release(t, v(1))
    [] Action(e) = "LatchForSplit" -> LatchForSplit(t) /\ (th[t].seen \/ th'[t].pc \in {"second", "split"})
    [] Action(e) = "LatchChild"    -> LatchChild(t) /\ th'[t].pc = "split"
    [] Action(e) = "Split"         -> At(t, "split") /\ Split(t, Below(page[th[t].node], v(1)), v(1), v(2), v(3)) /\ {v(2), v(3)} \subseteq used'
                                        /\ {v(2), v(3)} \cap used = {}
    [] Action(e) = "LatchForMerge" -> LatchForMerge(t) /\ (IF v(1) = 0 THEN th'[t].pc = "idle" ELSE th'[t].pc = "left" /\ th'[t].pair = v(1))
    [] Action(e) = "LatchSibling"  -> LatchSibling(t) /\ v(1) \in held'[t] \ held[t]
    [] Action(e) = "Merge"         -> Merge(t, v(1) = 1)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [page |-> page, used |-> used, version |-> version, latch |-> latch, th |-> th, held |-> held, map |-> map]>>)
=============================================================================
