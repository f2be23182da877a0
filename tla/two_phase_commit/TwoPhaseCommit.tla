-------------------------- MODULE TwoPhaseCommit ---------------------------
(* The store as a participant: prepare, crash, resume with locks, commit or   *)
(* roll back, keep the outcome until it is forgotten: T1, T4, T5.  Code:      *)
(* aether-kv (two_phase), aether-txn (prepared, rollback).                    *)
(*                                                                            *)
(* A prepared transaction is an active one of the log, and a row p that a     *)
(* transaction of its own has committed in the same stream.  A commit writes  *)
(* the outcome o and takes p away as a change of the prepared transaction.  A *)
(* rollback does both by a transaction of its own, durably and in any stream, *)
(* and only then undoes: whom a restart finds without p is a loser.  Whoever  *)
(* asks may ask for both, also after a crash, until one is answered.          *)
(*                                                                            *)
(* A row holds its writer; it is locked if that one is in the table of those  *)
(* who are not over.  Rows are rebuilt from the log alone; pages are          *)
(* PageRedo's, what joins streams is StreamCut's.                             *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumTxns, NumRows, CrashesMax, ChangesMax
VARIABLES
  log, durable,        \* stream -> records [kind, txn, row, before]; stream -> durable prefix
  state,               \* "new" "active" "preparing" "prepared" "marked" "resuming" "deciding" "undoing" "losing" "over"
  row, table, undo,    \* row -> writer; who is known not to be over; transaction -> changes
  outcome,             \* the rows o: "none", "committed", "rolled back"
  until,               \* where the record ends that the next answer waits for
  told,                \* history: transactions that were said to be prepared
  asked, answers,      \* history: what was asked for, what was answered
  forgotten,           \* history: whom the store was told to forget
  phase, crashes
rows == <<row, table, undo>>
asker == <<told, asked, answers, forgotten>>
vars == <<log, durable, state, rows, outcome, until, asker, phase, crashes>>
Txns == 1..NumTxns
Rows == 1..NumRows
Own == 1                  \* the stream of those who prepare
Other == 2                \* of who writes the outcome of a rollback
Streams == {Own, Other}
Outcomes == {"committed", "rolled back"}
Init ==
  /\ log = [s \in Streams |-> <<>>] /\ durable = [s \in Streams |-> 0] /\ state = [t \in Txns |-> "new"]
  /\ row = [r \in Rows |-> 0] /\ table = {} /\ undo = [t \in Txns |-> <<>>]
  /\ outcome = [t \in Txns |-> "none"] /\ until = [t \in Txns |-> 0]
  /\ told = {} /\ asked = [t \in Txns |-> {}] /\ answers = [t \in Txns |-> {}] /\ forgotten = {}
  /\ phase = "up" /\ crashes = 0
-----------------------------------------------------------------------------
Up == phase = "up"
Logged(s, kind, t, r, before) ==
  /\ Up /\ log' = [log EXCEPT ![s] = Append(@, [kind |-> kind, txn |-> t, row |-> r, before |-> before])]
  /\ UNCHANGED <<durable, phase, crashes>>
Change(t, r) ==
  /\ state[t] \in {"new", "active"} /\ row[r] \notin table \ {t} /\ Len(undo[t]) < ChangesMax
  /\ Logged(Own, "change", t, r, row[r])
  /\ state' = [state EXCEPT ![t] = "active"] /\ row' = [row EXCEPT ![r] = t] /\ table' = table \cup {t}
  /\ undo' = [undo EXCEPT ![t] = Append(@, [row |-> r, before |-> row[r]])]
  /\ UNCHANGED <<outcome, until, asker>>
(* The row p is committed behind the changes; it says where they end.         *)
Prepare(t) ==
  /\ state[t] = "active" /\ state' = [state EXCEPT ![t] = "preparing"]
  /\ Logged(Own, "prepare", t, 0, Len(undo[t])) /\ until' = [until EXCEPT ![t] = Len(log'[Own])]
  /\ UNCHANGED <<rows, outcome, asker>>
Prepared(t) ==
  /\ Up /\ state[t] = "preparing" /\ state' = [state EXCEPT ![t] = "prepared"]
  /\ until[t] <= durable[Own]
  /\ told' = told \cup {t}
  /\ UNCHANGED <<log, durable, rows, outcome, until, asked, answers, forgotten, phase, crashes>>
FlushTo(s, end) ==
  /\ Up /\ durable[s] < end /\ end <= Len(log[s]) /\ durable' = [durable EXCEPT ![s] = end]
  /\ UNCHANGED <<log, state, rows, outcome, until, asker, phase, crashes>>
Flush(s) == FlushTo(s, Len(log[s]))
(* Somebody asks, also about one that is found listed as prepared.            *)
Ask(t, what) ==
  /\ (t \in told \/ asked[t] # {} \/ state[t] = "prepared") /\ what \notin asked[t] /\ answers[t] = {}
  /\ asked' = [asked EXCEPT ![t] = @ \cup {what}]
  /\ UNCHANGED <<log, durable, state, rows, outcome, until, told, answers, forgotten, phase, crashes>>
(* The outcome as a change of the prepared transaction, and its commit.       *)
Mark(t) ==
  /\ state[t] = "prepared" /\ "committed" \in asked[t]
  /\ Logged(Own, "mark", t, 0, 0) /\ state' = [state EXCEPT ![t] = "marked"]
  /\ UNCHANGED <<rows, outcome, until, asker>>
CommitPrepared(t) ==
  /\ state[t] = "marked" /\ Logged(Own, "commit", t, 0, 0) /\ state' = [state EXCEPT ![t] = "over"]
  /\ outcome' = [outcome EXCEPT ![t] = "committed"] /\ until' = [until EXCEPT ![t] = Len(log'[Own])]
  /\ table' = table \ {t} /\ undo' = [undo EXCEPT ![t] = <<>>]
  /\ UNCHANGED <<row, asker>>
(* A commit that a crash has interrupted: undone back to what was prepared.   *)
Unmark(t) ==
  /\ state[t] = "resuming" /\ Logged(Own, "unmark", t, 0, 0) /\ state' = [state EXCEPT ![t] = "prepared"]
  /\ UNCHANGED <<rows, outcome, until, asker>>
(* The outcome in a transaction of its own; then the undo.                    *)
DecideRollback(t) ==
  /\ state[t] = "prepared" /\ "rolled back" \in asked[t]
  /\ Logged(Other, "outcome", t, 0, 0) /\ outcome' = [outcome EXCEPT ![t] = "rolled back"]
  /\ until' = [until EXCEPT ![t] = Len(log'[Other])]
  /\ state' = [state EXCEPT ![t] = "deciding"] /\ UNCHANGED <<rows, asker>>
RollBackPrepared(t) ==
  /\ Up /\ state[t] = "deciding" /\ state' = [state EXCEPT ![t] = "undoing"]
  /\ until[t] <= durable[Other]
  /\ UNCHANGED <<log, durable, rows, outcome, until, asker, phase, crashes>>
Abort(t) ==
  /\ Up /\ state[t] = "active" /\ state' = [state EXCEPT ![t] = "losing"]
  /\ UNCHANGED <<log, durable, rows, outcome, until, asker, phase, crashes>>
Undo(t) ==
  /\ state[t] \in {"undoing", "losing"} /\ undo[t] # <<>>
  /\ LET last == undo[t][Len(undo[t])] IN
       /\ Logged(Own, "undo", t, last.row, last.before) /\ row' = [row EXCEPT ![last.row] = last.before]
  /\ undo' = [undo EXCEPT ![t] = SubSeq(@, 1, Len(@) - 1)]
  /\ UNCHANGED <<state, table, outcome, until, asker>>
End(t) ==
  /\ state[t] \in {"undoing", "losing"}
  /\ undo[t] = <<>>
  /\ Logged(Own, "end", t, 0, 0) /\ state' = [state EXCEPT ![t] = "over"] /\ table' = table \ {t}
  /\ UNCHANGED <<row, undo, outcome, until, asker>>
(* The answer is the outcome, also if the other was asked for.                *)
AnswerUntil(t) == IF outcome[t] = "committed" THEN until[t] <= durable[Own] ELSE until[t] <= durable[Other]
Answer(t) ==
  /\ Up /\ asked[t] # {} /\ outcome[t] # "none" /\ outcome[t] \notin answers[t] /\ state[t] \notin {"deciding", "undoing", "losing"}
  /\ AnswerUntil(t)
  /\ answers' = [answers EXCEPT ![t] = @ \cup {outcome[t]}]
  /\ UNCHANGED <<log, durable, state, rows, outcome, until, told, asked, forgotten, phase, crashes>>
Forget(t) ==
  /\ answers[t] # {} /\ outcome[t] # "none"
  /\ Logged(Other, "forget", t, 0, 0) /\ outcome' = [outcome EXCEPT ![t] = "none"] /\ forgotten' = forgotten \cup {t}
  /\ UNCHANGED <<state, rows, until, told, asked, answers>>
-----------------------------------------------------------------------------
Crash ==
  /\ Up /\ crashes < CrashesMax /\ crashes' = crashes + 1 /\ phase' = "down"
  /\ \E k \in durable[Own]..Len(log[Own]), l \in durable[Other]..Len(log[Other]) :
       /\ log' = [s \in Streams |-> SubSeq(log[s], 1, IF s = Own THEN k ELSE l)]
       /\ durable' = [s \in Streams |-> IF s = Own THEN k ELSE l]
  /\ row' = [r \in Rows |-> 0] /\ table' = {} /\ undo' = [t \in Txns |-> <<>>]
  /\ outcome' = [t \in Txns |-> "none"] /\ until' = [t \in Txns |-> 0]
  /\ state' = [t \in Txns |-> IF state[t] = "new" THEN "new" ELSE "over"] /\ UNCHANGED asker
Of(t, kind) == SelectSeq(log[Own] \o log[Other], LAMBDA e : e.txn = t /\ e.kind = kind)
Has(t, kind) == Of(t, kind) # <<>>
RECURSIVE RowAfter(_, _)
RowAfter(r, i) ==
  IF i = 0 THEN 0 ELSE LET e == log[Own][i] IN
    IF e.row # r THEN RowAfter(r, i - 1) ELSE IF e.kind = "change" THEN e.txn ELSE e.before
LeftOf(t) ==
  LET done == Of(t, "change")
  IN [i \in 1..(Len(done) - Len(Of(t, "undo"))) |-> [row |-> done[i].row, before |-> done[i].before]]
IsLoser(t) == Has(t, "change") /\ ~Has(t, "commit") /\ ~Has(t, "end")
(* There is a row p.                                                          *)
InDoubt(t) == Has(t, "prepare") /\ ~Has(t, "outcome")
StateOf(t) ==
  IF ~IsLoser(t) THEN state[t] ELSE IF ~InDoubt(t) THEN "losing"
  ELSE IF Len(Of(t, "mark")) > Len(Of(t, "unmark")) THEN "resuming" ELSE "prepared"
Restart ==
  /\ phase = "down" /\ phase' = "up"
  /\ row' = [r \in Rows |-> RowAfter(r, Len(log[Own]))]
  /\ undo' = [t \in Txns |-> IF IsLoser(t) THEN LeftOf(t) ELSE <<>>]
  /\ state' = [t \in Txns |-> StateOf(t)]
  /\ table' = {t \in Txns : IsLoser(t)}
  /\ outcome' = [t \in Txns |-> IF Has(t, "forget") THEN "none" ELSE IF Has(t, "commit") THEN "committed"
                                ELSE IF Has(t, "outcome") THEN "rolled back" ELSE "none"]
  /\ UNCHANGED <<log, durable, until, asker, crashes>>
Next ==
  \/ \E t \in Txns : \/ \E r \in Rows : Change(t, r)
                     \/ Prepare(t) \/ Prepared(t) \/ Mark(t) \/ CommitPrepared(t) \/ Unmark(t)
                     \/ DecideRollback(t) \/ RollBackPrepared(t) \/ Abort(t) \/ Undo(t) \/ End(t)
                     \/ Answer(t) \/ Forget(t) \/ \E what \in Outcomes : Ask(t, what)
  \/ \E s \in Streams : Flush(s)
  \/ Crash \/ Restart
Spec == Init /\ [][Next]_vars
Step(t) == Mark(t) \/ CommitPrepared(t) \/ Unmark(t) \/ DecideRollback(t) \/ RollBackPrepared(t) \/ Undo(t) \/ End(t)
Fair == Spec /\ WF_vars(Restart) /\ (\A s \in Streams : WF_vars(Flush(s)))
             /\ \A t \in Txns : WF_vars(Step(t)) /\ WF_vars(Answer(t))
-----------------------------------------------------------------------------
(* T5: who was said to be prepared stays so until it is decided.              *)
StaysPrepared == Up => \A t \in told : asked[t] = {} => state[t] \in {"preparing", "prepared"}
(* T5: who is prepared is so with all its changes and locks.                  *)
PreparedIsWhole == Up => \A t \in Txns : state[t] \in {"prepared", "marked", "resuming"} =>
  /\ t \in table /\ Len(undo[t]) = Of(t, "prepare")[1].before
  /\ \A i \in DOMAIN undo[t] : row[undo[t][i].row] = t
(* T1: no half of a transaction is ever committed.                            *)
NothingHalf == \A t \in Txns : Has(t, "commit") => Len(Of(t, "undo")) = 0
(* T5: one answer, one that was asked for, known until it is forgotten.       *)
OneAnswer == \A t \in Txns : Cardinality(answers[t]) < 2 /\ answers[t] \subseteq asked[t]
OutcomeIsKept == Up => \A t \in Txns \ forgotten : answers[t] # {} => outcome[t] \in answers[t]
NoOutcomeOfItsOwn == \A t \in Txns : outcome[t] = "none" \/ outcome[t] \in asked[t]
(* T1, T4: a row that is not locked shows the last commit.                    *)
RECURSIVE LastCommit(_, _)
LastCommit(r, i) ==
  IF i = 0 THEN 0 ELSE LET e == log[Own][i] IN
    IF e.kind = "change" /\ e.row = r /\ Has(e.txn, "commit") THEN e.txn ELSE LastCommit(r, i - 1)
RowsAreRight == Up => \A r \in Rows : row[r] \in table \/ row[r] = LastCommit(r, Len(log[Own]))
(* What has to be undone is locked, by the one that the undo belongs to.      *)
LocksAreRight == Up => \A t \in Txns : (undo[t] # <<>> => t \in table) /\ \A i \in DOMAIN undo[t] : row[undo[t][i].row] = t
(* Whoever asks is answered in the end.                                       *)
Decided == \A t \in Txns : (asked[t] # {}) ~> (answers[t] # {})
=============================================================================
