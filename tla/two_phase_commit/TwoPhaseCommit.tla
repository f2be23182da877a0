-------------------------- MODULE TwoPhaseCommit ---------------------------
(* The store as a participant: prepare, crash, resume with locks, commit or   *)
(* roll back, keep the outcome until it is forgotten: T1, T4, T5.  There is   *)
(* no code for it yet; it is the protocol that is to follow.                  *)
(*                                                                            *)
(* A prepared transaction is an active one of the log, and a row that another *)
(* transaction, which depends on it, has committed.  Its commit record writes *)
(* the outcome and deletes that row; a rollback undoes first, then a          *)
(* transaction of its own writes the outcome and deletes the row.  Who asks   *)
(* decides once and asks again until it has an answer.  A row holds its       *)
(* writer.  Rows are rebuilt from the log alone; pages are PageRedo's, several*)
(* streams are StreamCut's.                                                   *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumTxns, NumRows, CrashesMax, ChangesMax
VARIABLES
  log, durable,        \* records [kind, txn, row, before]; durable prefix
  state,               \* "new" "active" "preparing" "prepared" "undoing" "losing" "over"
  row, owner, undo,    \* row -> writer, who has locked it (0: nobody); transaction -> changes
  outcome,             \* the table of outcomes: "none", "committed", "rolled back"
  until,               \* where the record ends that the next answer waits for
  told,                \* history: transactions that were said to be prepared
  decision, answer,    \* of who asks; what it was answered
  forgotten,           \* history: whom it has told the store to forget
  phase, crashes
rows == <<row, owner, undo>>
asker == <<told, decision, answer, forgotten>>
vars == <<log, durable, state, rows, outcome, until, asker, phase, crashes>>
Txns == 1..NumTxns
Rows == 1..NumRows
Init ==
  /\ log = <<>> /\ durable = 0 /\ state = [t \in Txns |-> "new"]
  /\ row = [r \in Rows |-> 0] /\ owner = [r \in Rows |-> 0] /\ undo = [t \in Txns |-> <<>>]
  /\ outcome = [t \in Txns |-> "none"] /\ until = [t \in Txns |-> 0]
  /\ told = {} /\ decision = [t \in Txns |-> "none"] /\ answer = [t \in Txns |-> "none"] /\ forgotten = {}
  /\ phase = "up" /\ crashes = 0
-----------------------------------------------------------------------------
Up == phase = "up"
Logged(kind, t, r, before) ==
  /\ Up /\ log' = Append(log, [kind |-> kind, txn |-> t, row |-> r, before |-> before])
  /\ UNCHANGED <<durable, phase, crashes>>
Change(t, r) ==
  /\ state[t] \in {"new", "active"} /\ owner[r] = 0 /\ Len(undo[t]) < ChangesMax
  /\ Logged("change", t, r, row[r])
  /\ state' = [state EXCEPT ![t] = "active"] /\ row' = [row EXCEPT ![r] = t] /\ owner' = [owner EXCEPT ![r] = t]
  /\ undo' = [undo EXCEPT ![t] = Append(@, [row |-> r, before |-> row[r]])]
  /\ UNCHANGED <<outcome, until, asker>>
Prepare(t) ==
  /\ state[t] = "active" /\ Logged("prepare", t, 0, 0) /\ state' = [state EXCEPT ![t] = "preparing"]
  /\ until' = [until EXCEPT ![t] = Len(log')]
  /\ UNCHANGED <<rows, outcome, asker>>
Prepared(t) ==
  /\ Up /\ state[t] = "preparing" /\ state' = [state EXCEPT ![t] = "prepared"]
  /\ until[t] <= durable
  /\ told' = told \cup {t}
  /\ UNCHANGED <<log, durable, rows, outcome, until, decision, answer, forgotten, phase, crashes>>
Flush ==
  /\ Up /\ durable < Len(log) /\ durable' = Len(log)
  /\ UNCHANGED <<log, state, rows, outcome, until, asker, phase, crashes>>
(* Who asks decides, also about one that it finds listed as prepared.         *)
Decide(t, what) ==
  /\ (t \in told \/ state[t] = "prepared") /\ decision[t] = "none" /\ decision' = [decision EXCEPT ![t] = what]
  /\ UNCHANGED <<log, durable, state, rows, outcome, until, told, answer, forgotten, phase, crashes>>
Freed(t) == [r \in Rows |-> IF owner[r] = t THEN 0 ELSE owner[r]]
CommitPrepared(t) ==
  /\ state[t] = "prepared" /\ decision[t] = "committed"
  /\ Logged("commit", t, 0, 0)
  /\ state' = [state EXCEPT ![t] = "over"] /\ outcome' = [outcome EXCEPT ![t] = "committed"]
  /\ owner' = Freed(t) /\ undo' = [undo EXCEPT ![t] = <<>>] /\ until' = [until EXCEPT ![t] = Len(log')]
  /\ UNCHANGED <<row, asker>>
RollBackPrepared(t) ==
  /\ Up /\ state[t] = "prepared" /\ decision[t] = "rolled back" /\ state' = [state EXCEPT ![t] = "undoing"]
  /\ UNCHANGED <<log, durable, rows, outcome, until, asker, phase, crashes>>
Abort(t) ==
  /\ Up /\ state[t] = "active" /\ state' = [state EXCEPT ![t] = "losing"]
  /\ UNCHANGED <<log, durable, rows, outcome, until, asker, phase, crashes>>
Undo(t) ==
  /\ state[t] \in {"undoing", "losing"} /\ undo[t] # <<>>
  /\ LET last == undo[t][Len(undo[t])] IN
       /\ Logged("undo", t, last.row, last.before) /\ row' = [row EXCEPT ![last.row] = last.before]
  /\ undo' = [undo EXCEPT ![t] = SubSeq(@, 1, Len(@) - 1)]
  /\ UNCHANGED <<state, owner, outcome, until, asker>>
Undone(t) ==
  /\ state[t] \in {"undoing", "losing"}
  /\ undo[t] = <<>>
  /\ IF state[t] = "undoing" THEN Logged("outcome", t, 0, 0) /\ outcome' = [outcome EXCEPT ![t] = "rolled back"]
                             ELSE Logged("end", t, 0, 0) /\ UNCHANGED outcome
  /\ state' = [state EXCEPT ![t] = "over"] /\ owner' = Freed(t) /\ until' = [until EXCEPT ![t] = Len(log')]
  /\ UNCHANGED <<row, undo, asker>>
(* The answer is the outcome, also if it is asked for again.                  *)
Answer(t) ==
  /\ Up /\ decision[t] # "none" /\ answer[t] = "none" /\ outcome[t] # "none"
  /\ until[t] <= durable
  /\ answer' = [answer EXCEPT ![t] = outcome[t]]
  /\ UNCHANGED <<log, durable, state, rows, outcome, until, told, decision, forgotten, phase, crashes>>
Forget(t) ==
  /\ answer[t] # "none" /\ outcome[t] # "none"
  /\ Logged("forget", t, 0, 0) /\ outcome' = [outcome EXCEPT ![t] = "none"] /\ forgotten' = forgotten \cup {t}
  /\ UNCHANGED <<state, rows, until, told, decision, answer>>
-----------------------------------------------------------------------------
Crash ==
  /\ Up /\ crashes < CrashesMax /\ crashes' = crashes + 1 /\ phase' = "down"
  /\ \E kept \in durable..Len(log) : log' = SubSeq(log, 1, kept) /\ durable' = kept
  /\ row' = [r \in Rows |-> 0] /\ owner' = [r \in Rows |-> 0] /\ undo' = [t \in Txns |-> <<>>]
  /\ outcome' = [t \in Txns |-> "none"] /\ until' = [t \in Txns |-> 0]
  /\ state' = [t \in Txns |-> IF state[t] = "new" THEN "new" ELSE "over"] /\ UNCHANGED asker
Of(t, kind) == SelectSeq(log, LAMBDA e : e.txn = t /\ e.kind = kind)
Has(t, kind) == Of(t, kind) # <<>>
RECURSIVE RowAfter(_, _)
RowAfter(r, i) ==
  IF i = 0 THEN 0 ELSE IF log[i].kind = "change" /\ log[i].row = r THEN log[i].txn
  ELSE IF log[i].kind = "undo" /\ log[i].row = r THEN log[i].before ELSE RowAfter(r, i - 1)
LeftOf(t) ==
  LET done == Of(t, "change")
  IN [i \in 1..(Len(done) - Len(Of(t, "undo"))) |-> [row |-> done[i].row, before |-> done[i].before]]
IsOver(t) == Has(t, "commit") \/ Has(t, "end") \/ Has(t, "outcome")
Resumed(t) == Has(t, "change") /\ ~IsOver(t)
Restart ==
  /\ phase = "down" /\ phase' = "up"
  /\ row' = [r \in Rows |-> RowAfter(r, Len(log))]
  /\ undo' = [t \in Txns |-> IF Resumed(t) THEN LeftOf(t) ELSE <<>>]
  /\ state' = [t \in Txns |-> IF ~Resumed(t) THEN state[t] ELSE IF Has(t, "prepare") THEN "prepared" ELSE "losing"]
  /\ owner' = [r \in Rows |->
       LET mine == {t \in Txns : Resumed(t) /\ \E i \in DOMAIN Of(t, "change") : Of(t, "change")[i].row = r}
       IN IF mine = {} THEN 0 ELSE CHOOSE t \in mine : TRUE]
  /\ outcome' = [t \in Txns |-> IF Has(t, "forget") THEN "none" ELSE IF Has(t, "commit") /\ Has(t, "prepare") THEN "committed"
                                ELSE IF Has(t, "outcome") THEN "rolled back" ELSE "none"]
  /\ UNCHANGED <<log, durable, until, asker, crashes>>
Next ==
  \/ \E t \in Txns : \/ \E r \in Rows : Change(t, r)
                     \/ Prepare(t) \/ Prepared(t) \/ CommitPrepared(t) \/ RollBackPrepared(t) \/ Abort(t)
                     \/ Undo(t) \/ Undone(t) \/ Answer(t) \/ Forget(t)
                     \/ \E what \in {"committed", "rolled back"} : Decide(t, what)
  \/ Flush \/ Crash \/ Restart
Spec == Init /\ [][Next]_vars
Step(t) == CommitPrepared(t) \/ RollBackPrepared(t) \/ Undo(t) \/ Undone(t)
Fair == Spec /\ WF_vars(Flush) /\ WF_vars(Restart) /\ \A t \in Txns : WF_vars(Step(t)) /\ WF_vars(Answer(t))
-----------------------------------------------------------------------------
(* T5: who was said to be prepared stays so until a decision, with its locks. *)
StaysPrepared == Up => \A t \in told : decision[t] = "none" =>
  /\ state[t] \in {"preparing", "prepared"} /\ undo[t] # <<>>
  /\ \A i \in DOMAIN undo[t] : row[undo[t][i].row] = t /\ owner[undo[t][i].row] = t
(* The answer is the decision, and the store knows it until it is forgotten.  *)
AnswerIsDecision == \A t \in Txns : answer[t] \in {"none", decision[t]}
OutcomeIsKept == Up => \A t \in Txns \ forgotten : answer[t] # "none" => outcome[t] = answer[t]
NoOutcomeOfItsOwn == \A t \in Txns : outcome[t] \in {"none", decision[t]}
(* T1, T4: a row shows the last commit, or who has locked it.                 *)
RECURSIVE LastCommit(_, _)
LastCommit(r, i) ==
  IF i = 0 THEN 0 ELSE IF log[i].kind = "change" /\ log[i].row = r /\ Has(log[i].txn, "commit") THEN log[i].txn
  ELSE LastCommit(r, i - 1)
RowsAreRight == Up => \A r \in Rows : IF owner[r] = 0 THEN row[r] = LastCommit(r, Len(log)) ELSE row[r] \in {owner[r], LastCommit(r, Len(log))}
(* Nothing is locked by who is over, and what has to be undone is locked.     *)
LocksAreRight == Up =>
  /\ \A r \in Rows : owner[r] # 0 => state[owner[r]] \notin {"new", "over"}
  /\ \A t \in Txns : \A i \in DOMAIN undo[t] : owner[undo[t][i].row] = t
(* Whoever has decided is answered in the end.                                *)
Decided == \A t \in Txns : (decision[t] # "none") ~> (answer[t] # "none")
=============================================================================
