--------------------------- MODULE SnapshotsTrace ---------------------------
(* Events of the whole engine as transactions read, change, prepare and       *)
(* commit a few keys, as steps of Snapshots.  A timestamp is told as the      *)
(* number of commits up to it; those that only read draw none in the code.    *)
EXTENDS Snapshots, Traces
NotAsked == 98
Drawn == Cardinality({t \in Committed : wrote[t] # {}})
(* What a read has shown of a key: a version, or the reader's own.            *)
Showed(t, k, w) == IF k \in wrote[t] THEN w = t ELSE w = read'[t][k]
(* What was read before is read again.                                        *)
Reads(t, keys) ==
  IF \E k \in keys : read[t][k] = None /\ k \notin wrote[t] THEN Read(t, keys)
  ELSE status[t] = "active" /\ UNCHANGED vars
Writes(t, k) == IF k \in wrote[t] THEN status[t] = "active" /\ UNCHANGED vars ELSE Write(t, k)
Step(e) ==
  LET t == Actor(e)  v(i) == Value(e, i)  asked == {k \in Keys : e[3][k] # NotAsked} IN
  CASE Action(e) = "Begin"          -> Begin(t) /\ Drawn = v(1)
    [] Action(e) = "Read"           -> Reads(t, asked) /\ \A k \in asked : Showed(t, k, v(k))
    [] Action(e) = "Write"          -> Writes(t, v(1))
    [] Action(e) = "Commit"         -> Commit(t) /\ (wrote[t] # {} => Drawn' = v(1))
    [] Action(e) = "Prepare"        -> Prepare(t)
    [] Action(e) = "CommitPrepared" -> CommitPrepared(t) /\ Drawn' = v(1)
    [] Action(e) = "Abort"          -> Abort(t)
Taken == \E k \in Threads : MayComeNext(k) /\ Step(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [clock |-> clock, status |-> status, snap |-> snap, ts |-> ts, read |-> read, wrote |-> wrote]>>)
=============================================================================
