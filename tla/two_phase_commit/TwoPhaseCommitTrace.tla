------------------------ MODULE TwoPhaseCommitTrace -------------------------
(* Events of the whole engine, through crashes, as steps of TwoPhaseCommit:   *)
(* transactions change a few rows, are prepared, decided by two at once, and  *)
(* forgotten.  The code has one stream here; a crash leaves as much of each   *)
(* of the spec's two as lies below where the log was cut.                     *)
EXTENDS TwoPhaseCommit, Traces
What(i) == <<"committed", "rolled back">>[i]
(* Whoever asks for the same again, or too late, changes nothing.             *)
Asks(t, what) ==
  IF what \in asked[t] \/ answers[t] # {} \/ t \in forgotten
  THEN (t \in told \/ asked[t] # {}) /\ UNCHANGED vars ELSE Ask(t, what)
(* An answer may be that nothing is known.                                    *)
Answers(t, i) ==
  IF i = 3 THEN t \in forgotten /\ outcome[t] = "none" /\ UNCHANGED vars
  ELSE /\ outcome[t] = What(i)
       /\ IF What(i) \in answers[t] THEN AnswerUntil(t) /\ UNCHANGED vars ELSE Answer(t)
Does(e) ==
  LET t == Actor(e)  v(i) == Value(e, i) IN
  CASE Action(e) = "Change"           -> Change(t, v(1))
    [] Action(e) = "Prepare"          -> Prepare(t)
    [] Action(e) = "Prepared"         -> Prepared(t)
    [] Action(e) = "Flush"            -> FlushTo(v(1), v(2))
    [] Action(e) = "Ask"              -> Asks(t, What(v(1)))
    [] Action(e) = "Mark"             -> Mark(t)
    [] Action(e) = "CommitPrepared"   -> CommitPrepared(t)
    [] Action(e) = "Unmark"           -> Unmark(t)
    [] Action(e) = "DecideRollback"   -> DecideRollback(t)
    [] Action(e) = "RollBackPrepared" -> RollBackPrepared(t)
    [] Action(e) = "Abort"            -> Abort(t)
    [] Action(e) = "Undo"             -> Undo(t)
    [] Action(e) = "End"              -> End(t)
    [] Action(e) = "Answer"           -> Answers(t, v(1))
    [] Action(e) = "Forget"           -> Forget(t)
    [] Action(e) = "Crash"            -> Crash /\ Len(log'[Own]) = v(1) /\ Len(log'[Other]) = v(2)
    [] Action(e) = "Restart"          -> Restart
Taken == \E k \in Threads : MayComeNext(k) /\ Does(Head_(k)) /\ Took(k)
TraceSpec == Init /\ AtFirst /\ [][Taken]_<<vars, Cursor>>
(* Where a behaviour cannot go on; asked for only of a trace that nothing     *)
(* accepts.                                                                   *)
Stuck == (~AllTaken /\ ~ENABLED Taken) => PrintT(<<"STUCK", trace, Heads,
  [log |-> log, durable |-> durable, state |-> state, row |-> row, table |-> table, undo |-> undo,
   outcome |-> outcome, until |-> until, told |-> told, asked |-> asked, answers |-> answers,
   forgotten |-> forgotten, phase |-> phase]>>)
=============================================================================
