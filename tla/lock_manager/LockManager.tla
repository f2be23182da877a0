---------------------------- MODULE LockManager ----------------------------
(* Locks with intentions, conversions, fair queues, deadlocks found when a    *)
(* wait begins, time-outs: T6.  Code: aether-txn (lock: book, queues,         *)
(* deadlock, table).  One step is what happens under the table's mutex.       *)
(*                                                                            *)
(* A transaction waits for nothing but an entry of the table.  The larger     *)
(* number is the younger transaction.  Who is refused keeps its locks, and    *)
(* goes on or ends.                                                           *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumTxns, NumResources,
          Modes,           \* those that are asked for
          RequestsMax,     \* of one transaction
          WithTimeouts
VARIABLES
  granted,      \* resource -> transaction -> mode, or "none"
  queue,        \* resource -> waiters [txn, mode, converts], in the order of their precedence
  status,       \* "running", "waiting", "over"
  requests,     \* made so far
  refused,      \* history: whose wait the manager has ended
  verdicts      \* history: victims and the cycles that they were in
vars == <<granted, queue, status, requests, refused, verdicts>>
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
  /\ refused = {} /\ verdicts = {}
-----------------------------------------------------------------------------
Fits(holders, t, mode) == \A u \in Txns \ {t} : holders[u] \in Friends(mode)
(* A conversion goes before all who hold nothing, behind other conversions.   *)
Conversions(waiters) == SelectSeq(waiters, LAMBDA w : w.converts)
Others(waiters) == SelectSeq(waiters, LAMBDA w : ~w.converts)
Joined(waiters, w) ==
  IF w.converts THEN Append(Conversions(waiters), w) \o Others(waiters) ELSE Append(waiters, w)
Without(waiters, t) == SelectSeq(waiters, LAMBDA w : w.txn # t)
Waits(q, t) == \E r \in Resources : \E i \in DOMAIN q[r] : q[r][i].txn = t
(* Whom the i-th waiter waits for: holders in its way, and those before it    *)
(* whose mode excludes its own.                                               *)
Ahead(waiters, i) == {j \in 1..(i - 1) : waiters[j].mode \notin Friends(waiters[i].mode)}
Blockers(holders, waiters, i) ==
  {u \in Txns \ {waiters[i].txn} : holders[u] \notin Friends(waiters[i].mode)}
  \cup {waiters[j].txn : j \in Ahead(waiters, i)}
(* Grants what is blocked by nobody: once through is enough.                  *)
Free(g, q, r) == {i \in DOMAIN q[r] : Blockers(g[r], q[r], i) = {}}
Served(held, asked) ==
  [granted |-> [r \in Resources |-> [o \in Txns |->
     LET free == {n \in Free(held, asked, r) : asked[r][n].txn = o}
     IN IF free = {} THEN held[r][o] ELSE asked[r][CHOOSE n \in free : TRUE].mode]],
   queue |-> [r \in Resources |-> SelectSeq(asked[r], LAMBDA w : \A n \in Free(held, asked, r) : asked[r][n].txn # w.txn)]]
WithoutWait(g, q, t) == Served(g, [r \in Resources |-> Without(q[r], t)])
WaitsFor(g, q, t) ==
  UNION {UNION {Blockers(g[r], q[r], i) : i \in {k \in DOMAIN q[r] : q[r][k].txn = t}} : r \in Resources}
(* Cycles through t, as sets: of two, and of three, who wait for each other.  *)
Cycles(g, q, t) ==
  IF ~Waits(q, t) THEN {}
  ELSE LET ahead == [u \in Txns |-> WaitsFor(g, q, u)]
       IN {{t, u} : u \in {x \in ahead[t] : t \in ahead[x]}}
          \cup UNION {{{t, u, v} : v \in {x \in ahead[u] \ {t} : t \in ahead[x]}} : u \in ahead[t]}
Youngest(S) == CHOOSE t \in S : \A u \in S : u <= t
(* Ends waits until no cycle goes through t: the outcomes, whichever cycle is *)
(* found first.  Two ends are enough for three transactions.                  *)
Victim(cycle) == Youngest(cycle)
Ended(x, c) ==
  LET after == WithoutWait(x.granted, x.queue, Victim(c))
  IN [granted |-> after.granted, queue |-> after.queue, found |-> x.found \cup {[victim |-> Victim(c), cycle |-> c]}]
Once(S, t) == UNION {IF Cycles(x.granted, x.queue, t) = {} THEN {x}
                     ELSE {Ended(x, c) : c \in Cycles(x.granted, x.queue, t)} : x \in S}
Broken(start, t) == Once(Once({start}, t), t)
Settle(held, asked, ends) ==
  /\ granted' = held /\ queue' = asked
  /\ status' = [t \in Txns |-> IF t \in ends \/ status[t] = "over" THEN "over"
                               ELSE IF Waits(asked, t) THEN "waiting" ELSE "running"]
-----------------------------------------------------------------------------
Request(t, r, m) ==
  /\ status[t] = "running" /\ requests[t] < RequestsMax /\ m \notin Weaker(granted[r][t])
  /\ requests' = [requests EXCEPT ![t] = @ + 1]
  /\ LET converts == granted[r][t] # "none"
         mode == Stronger(granted[r][t], m)
         waiting == [queue EXCEPT ![r] = Joined(@, [txn |-> t, mode |-> mode, converts |-> converts])]
         place == CHOOSE i \in DOMAIN waiting[r] : waiting[r][i].txn = t
     IN IF Blockers(granted[r], waiting[r], place) = {}
        THEN Settle([granted EXCEPT ![r][t] = mode], queue, {}) /\ UNCHANGED <<refused, verdicts>>
        ELSE \E after \in Broken([granted |-> granted, queue |-> waiting, found |-> {}], t) :
               /\ Settle(after.granted, after.queue, {}) /\ refused' = refused \cup {f.victim : f \in after.found}
               /\ verdicts' = verdicts \cup after.found
(* The end of a transaction: everything it has goes at once.                  *)
Release(t) ==
  /\ status[t] = "running"
  /\ LET served == Served([r \in Resources |-> [granted[r] EXCEPT ![t] = "none"]], queue)
     IN Settle(served.granted, served.queue, {t})
  /\ UNCHANGED <<requests, refused, verdicts>>
Timeout(t) ==
  /\ WithTimeouts /\ status[t] = "waiting"
  /\ LET served == WithoutWait(granted, queue, t) IN Settle(served.granted, served.queue, {})
  /\ refused' = refused \cup {t}
  /\ UNCHANGED <<requests, verdicts>>
Next == \E t \in Txns : Release(t) \/ Timeout(t) \/ \E r \in Resources, m \in Modes : Request(t, r, m)
Spec == Init /\ [][Next]_vars
Fair == Spec /\ \A t \in Txns : WF_vars(Release(t))
-----------------------------------------------------------------------------
Compatible == \A r \in Resources, t, u \in Txns : t # u => granted[r][t] \in Friends(granted[r][u])
(* A waiter is in one queue, and nobody waits who is blocked by nobody.       *)
NobodyForgotten ==
  /\ \A t \in Txns : (status[t] = "waiting") = Waits(queue, t)
  /\ \A r \in Resources : Free(granted, queue, r) = {}
ConversionsFirst == \A r \in Resources : \A i, j \in DOMAIN queue[r] :
  i < j /\ queue[r][j].converts => queue[r][i].converts
(* Fair: nobody passes another who waits for a mode that excludes his own,    *)
(* but who has something there already.                                       *)
IsBefore(i, t, r) == IF \E j \in DOMAIN queue[r] : queue[r][j].txn = t THEN \E j \in DOMAIN queue[r] : i < j /\ queue[r][j].txn = t
                     ELSE queue[r][i].converts \/ granted[r][t] = "none"
NobodyPasses == [][\A r \in Resources, t \in Txns : granted'[r][t] \notin {"none", granted[r][t]} =>
  \A i \in DOMAIN queue[r] : LET w == queue[r][i] IN
    w.txn # t /\ IsBefore(i, t, r) /\ w.mode \notin Friends(granted'[r][t]) => \A j \in DOMAIN queue'[r] : queue'[r][j].txn # w.txn]_vars
(* T6: no deadlock outlives the step that makes it.                           *)
NoDeadlock == \A t \in Txns : Cycles(granted, queue, t) = {}
(* The victim is the youngest of a cycle of at least two.                     *)
JustVictims == \A v \in verdicts : Cardinality(v.cycle) > 1 /\ v.victim = Youngest(v.cycle)
RefusedForCause == WithTimeouts \/ refused = {v.victim : v \in verdicts}
(* A lock is kept until the end.                                              *)
KeptToTheEnd == [][\A t \in Txns, r \in Resources :
  status'[t] # "over" => granted[r][t] \in Weaker(granted'[r][t])]_vars
(* T6: a waiter is granted or refused.                                        *)
WaitersProceed == \A t \in Txns : (status[t] = "waiting") ~> (status[t] # "waiting")
=============================================================================
