---------------------------- MODULE LockManager ----------------------------
(* Locks with intentions, conversions, first come first served, deadlocks     *)
(* found when a wait begins, time-outs: T6.  There is no code for it yet; it  *)
(* is the protocol that aether-txn's lock table is to follow.                 *)
(*                                                                            *)
(* A transaction waits for nothing but an entry of the table.  The larger     *)
(* number is the younger transaction.                                         *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumTxns, NumResources,
          Modes,           \* those that are asked for
          RequestsMax,     \* of one transaction
          WithTimeouts
VARIABLES
  granted,      \* resource -> transaction -> mode, or "none"
  queue,        \* resource -> waiters [txn, mode, converts], the first is next
  status,       \* "running", "waiting", "ending", "over"
  requests,     \* made so far
  aborted,      \* whom the manager ended
  verdicts      \* history: victims and the cycles that they were in
vars == <<granted, queue, status, requests, aborted, verdicts>>
Txns == 1..NumTxns
Resources == 1..NumResources

(* The lattice: none < IS < IX, S < SIX < X.                                  *)
Weaker(m) == CASE m = "none" -> {"none"}
               [] m = "IS" -> {"none", "IS"}
               [] m = "IX" -> {"none", "IS", "IX"}
               [] m = "S" -> {"none", "IS", "S"}
               [] m = "SIX" -> {"none", "IS", "IX", "S", "SIX"}
               [] OTHER -> {"none", "IS", "IX", "S", "SIX", "X"}
Friends(m) == CASE m = "none" -> {"none", "IS", "IX", "S", "SIX", "X"}
                [] m = "IS" -> {"none", "IS", "IX", "S", "SIX"}
                [] m = "IX" -> {"none", "IS", "IX"}
                [] m = "S" -> {"none", "IS", "S"}
                [] m = "SIX" -> {"none", "IS"}
                [] OTHER -> {"none"}
Stronger(a, b) == IF b \in Weaker(a) THEN a ELSE IF a \in Weaker(b) THEN b ELSE "SIX"     \* IX and S
Init ==
  /\ granted = [r \in Resources |-> [t \in Txns |-> "none"]] /\ queue = [r \in Resources |-> <<>>]
  /\ status = [t \in Txns |-> "running"] /\ requests = [t \in Txns |-> 0]
  /\ aborted = {} /\ verdicts = {}
-----------------------------------------------------------------------------
Fits(holders, t, mode) == \A u \in Txns \ {t} : holders[u] \in Friends(mode)
(* Serves a queue from its front until one must wait.                         *)
RECURSIVE Served(_, _)
Served(holders, waiters) ==
  IF waiters = <<>> THEN [holders |-> holders, waiters |-> waiters]
  ELSE LET head == Head(waiters) IN
    IF Fits(holders, head.txn, head.mode) THEN Served([holders EXCEPT ![head.txn] = head.mode], Tail(waiters))
    ELSE [holders |-> holders, waiters |-> waiters]
(* A conversion waits before all who hold nothing, behind other conversions.  *)
Conversions(waiters) == SelectSeq(waiters, LAMBDA w : w.converts)
Others(waiters) == SelectSeq(waiters, LAMBDA w : ~w.converts)
Joined(waiters, w) ==
  IF w.converts THEN Append(Conversions(waiters), w) \o Others(waiters) ELSE Append(waiters, w)
Without(waiters, t) == SelectSeq(waiters, LAMBDA w : w.txn # t)
Waits(q, t) == \E r \in Resources : \E i \in DOMAIN q[r] : q[r][i].txn = t
(* Whom t waits for: holders in its way, and everyone before it in the queue. *)
WaitsFor(g, q, t) ==
  UNION {UNION {{u \in Txns \ {t} : g[r][u] \notin Friends(q[r][i].mode)} \cup {q[r][j].txn : j \in 1..(i - 1)}
                : i \in {k \in DOMAIN q[r] : q[r][k].txn = t}} : r \in Resources}
RECURSIVE Reach(_, _, _)
Reach(g, q, found) == LET more == found \cup UNION {WaitsFor(g, q, u) : u \in found}
                      IN IF more = found THEN found ELSE Reach(g, q, more)
Cycle(g, q, t) == {u \in Reach(g, q, WaitsFor(g, q, t)) : t \in Reach(g, q, WaitsFor(g, q, u))}
Youngest(S) == CHOOSE t \in S : \A u \in S : u <= t
(* Ends victims until nobody waits in a cycle through t.                      *)
RECURSIVE Broken(_, _, _, _)
Broken(g, q, t, found) ==
  LET cycle == Cycle(g, q, t) IN
  IF cycle = {} THEN [granted |-> g, queue |-> q, found |-> found]
  ELSE LET victim == Youngest(cycle)
           served == [r \in Resources |-> Served(g[r], Without(q[r], victim))]
       IN Broken([r \in Resources |-> served[r].holders], [r \in Resources |-> served[r].waiters], t,
                 found \cup {[victim |-> victim, cycle |-> cycle]})
Settle(g, q, victims) ==
  /\ granted' = g /\ queue' = q /\ aborted' = aborted \cup victims
  /\ status' = [t \in Txns |-> IF t \in victims THEN "ending" ELSE IF Waits(q, t) THEN "waiting"
                               ELSE IF status[t] = "waiting" THEN "running" ELSE status[t]]
-----------------------------------------------------------------------------
Request(t, r, m) ==
  /\ status[t] = "running" /\ requests[t] < RequestsMax /\ m \notin Weaker(granted[r][t])
  /\ requests' = [requests EXCEPT ![t] = @ + 1]
  /\ LET converts == granted[r][t] # "none"
         mode == Stronger(granted[r][t], m)
         first == IF converts THEN Conversions(queue[r]) = <<>> ELSE queue[r] = <<>>
     IN IF first /\ Fits(granted[r], t, mode)
        THEN Settle([granted EXCEPT ![r][t] = mode], queue, {}) /\ UNCHANGED verdicts
        ELSE LET waiting == [queue EXCEPT ![r] = Joined(@, [txn |-> t, mode |-> mode, converts |-> converts])]
                 after == Broken(granted, waiting, t, {})
             IN /\ Settle(after.granted, after.queue, {f.victim : f \in after.found})
                /\ verdicts' = verdicts \cup after.found
(* The end of a transaction, and of one that the manager has ended: each lock *)
(* is given back by a step of its own.                                        *)
Finish(t) ==
  /\ status[t] = "running" /\ status' = [status EXCEPT ![t] = "ending"]
  /\ UNCHANGED <<granted, queue, requests, aborted, verdicts>>
Release(t, r) ==
  /\ status[t] = "ending" /\ granted[r][t] # "none"
  /\ LET served == Served([granted[r] EXCEPT ![t] = "none"], queue[r])
     IN Settle([granted EXCEPT ![r] = served.holders], [queue EXCEPT ![r] = served.waiters], {})
  /\ UNCHANGED <<requests, verdicts>>
Over(t) ==
  /\ status[t] = "ending" /\ \A r \in Resources : granted[r][t] = "none"
  /\ status' = [status EXCEPT ![t] = "over"] /\ UNCHANGED <<granted, queue, requests, aborted, verdicts>>
Timeout(t) ==
  /\ WithTimeouts /\ status[t] = "waiting"
  /\ LET served == [r \in Resources |-> Served(granted[r], Without(queue[r], t))]
     IN Settle([r \in Resources |-> served[r].holders], [r \in Resources |-> served[r].waiters], {t})
  /\ UNCHANGED <<requests, verdicts>>
Ends(t) == Finish(t) \/ Over(t) \/ \E r \in Resources : Release(t, r)
Next == \E t \in Txns : Ends(t) \/ Timeout(t) \/ \E r \in Resources, m \in Modes : Request(t, r, m)
Spec == Init /\ [][Next]_vars
Fair == Spec /\ \A t \in Txns : WF_vars(Ends(t))
-----------------------------------------------------------------------------
Compatible == \A r \in Resources, t, u \in Txns : t # u => granted[r][t] \in Friends(granted[r][u])
(* A waiter is in one queue, and the first of each queue cannot be served.    *)
NobodyForgotten ==
  /\ \A t \in Txns : (status[t] = "waiting") = Waits(queue, t)
  /\ \A r \in Resources : queue[r] # <<>> => ~Fits(granted[r], Head(queue[r]).txn, Head(queue[r]).mode)
ConversionsFirst == \A r \in Resources : \A i, j \in DOMAIN queue[r] :
  i < j /\ queue[r][j].converts => queue[r][i].converts
(* T6: no deadlock outlives the step that makes it.                           *)
NoDeadlock == \A t \in Txns : t \notin Reach(granted, queue, WaitsFor(granted, queue, t))
(* The victim is the youngest of a cycle of at least two.                     *)
JustVictims == \A v \in verdicts : Cardinality(v.cycle) > 1 /\ v.victim = Youngest(v.cycle)
EndedForCause == WithTimeouts \/ aborted = {v.victim : v \in verdicts}
(* A lock is kept until the end.                                              *)
KeptToTheEnd == [][\A t \in Txns, r \in Resources :
  status[t] \in {"running", "waiting"} => granted[r][t] \in Weaker(granted'[r][t])]_vars
(* T6: a waiter is granted or aborted.                                        *)
WaitersProceed == \A t \in Txns : (status[t] = "waiting") ~> (status[t] # "waiting")
=============================================================================
