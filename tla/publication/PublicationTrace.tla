-------------------------- MODULE PublicationTrace --------------------------
(* Events of aether-txn, of the log under it, and of transactions that read   *)
(* and change two rows, as steps of Publication.                              *)
EXTENDS Publication, Traces
(* A transaction is forgotten as a whole; the event stands here once for each *)
(* row.  Where it has not the newest version, nothing is left to strip.       *)
Stripped(t, r) ==
  IF chain[r][Len(chain[r])] = t /\ Len(chain[r]) > 1 THEN Strip(r)
  ELSE state[t] = "committed" /\ ts[t] <= durableTs /\ (\A v \in Views : ts[t] <= floor[v]) /\ UNCHANGED vars
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Register"     -> Register(t)
    [] Action(e) = "DrawSnapshot" -> DrawSnapshot(t) /\ snap'[t] = v(1)
    [] Action(e) = "Read"         -> Read(t, v(1)) /\ seen'[t][v(1)] = v(2)
    [] Action(e) = "Update"       -> Update(t, v(1))
    [] Action(e) = "Bound"        -> Bound(t) /\ bound'[t] = v(1)
    [] Action(e) = "Committing"   -> Committing(t)
    [] Action(e) = "Enqueue"      -> Enqueue(t)
    [] Action(e) = "Draw"         -> Draw(t) /\ ts'[t] = v(1)
    [] Action(e) = "AppendCommit" -> Home(t) = v(1) /\ AppendCommit(t) /\ lv'[t][v(1)] = v(2)
    [] Action(e) = "Committed"    -> Committed(t)
    [] Action(e) = "Abort"        -> Abort(t)
    [] Action(e) = "Flush"        -> FlushTo(v(1), v(2))
    [] Action(e) = "Pop"          -> queue # <<>> /\ Head(queue) = t /\ Pop
    [] Action(e) = "Advance"      -> Advance /\ durableTs' = v(1)
    [] Action(e) = "Ack"          -> Ack(t)
    [] Action(e) = "Leave"        -> Leave(t)
    [] Action(e) = "Strip"        -> Stripped(t, v(1))
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [clock |-> clock, durableTs |-> durableTs, queue |-> queue, lock |-> lock, state |-> state, bound |-> bound,
   ts |-> ts, lv |-> lv, floor |-> floor, snap |-> snap, position |-> position, durable |-> durable,
   chain |-> chain]>>)
=============================================================================
