-------------------------------- MODULE Hanoi -------------------------------
(* Binary doubling with merges that go on step by step, in rounds: in each a  *)
(* unit for each level.  A flush is paid for by a round; who has time makes   *)
(* more of them.  Code: aether-lsm (policy/hanoi, schedule).                  *)
(*                                                                            *)
(* A run of level n is 2^n flushes; two of them are merged into one of level  *)
(* n + 1, which takes as many units as it reads.  What a level does not need  *)
(* is saved, up to a bound, and spent on the deepest merge under way.         *)
EXTENDS Naturals, FiniteSets
CONSTANTS NumLevels, FlushesMax, SavedMax
VARIABLES
  flushes,  \* runs that came to level 0
  waiting,  \* of each level: runs that are not being merged
  left,     \* of each level: units that its merge still has to do; 0: none
  ready,    \* levels whose merge is done, and its result not yet in the next level
  due,      \* levels that have not got their unit of the last round yet
  paid,     \* the round that the last flush has bought has begun
  saved,    \* units to spend
  out       \* runs that have left the last level
vars == <<flushes, waiting, left, ready, due, paid, saved, out>>
Levels == 0..(NumLevels - 1)
Init ==
  /\ flushes = 0 /\ waiting = [n \in Levels |-> 0] /\ left = [n \in Levels |-> 0]
  /\ ready = {} /\ due = {} /\ paid = TRUE /\ saved = 0 /\ out = 0
-----------------------------------------------------------------------------
IsBusy(n) == left[n] > 0 \/ n \in ready
CanStart(n) == waiting[n] >= 2 /\ ~IsBusy(n)
(* What was done is in place, and all that can begin has begun.               *)
IsSettled == due = {} /\ ready = {} /\ \A n \in Levels : ~CanStart(n)
Flush ==
  /\ IsSettled /\ paid /\ flushes < FlushesMax
  /\ flushes' = flushes + 1 /\ waiting' = [waiting EXCEPT ![0] = @ + 1]
  /\ paid' = FALSE
  /\ UNCHANGED <<left, ready, due, saved, out>>
(* A flush is paid for, or somebody has time for the merges under way.        *)
Round(isBought) ==
  /\ IsSettled /\ (IF isBought THEN ~paid ELSE \E n \in Levels : left[n] > 0)
  /\ due' = Levels /\ paid' = (paid \/ isBought)
  /\ UNCHANGED <<flushes, waiting, left, ready, saved, out>>
Start(n) ==
  /\ CanStart(n)
  /\ left' = [left EXCEPT ![n] = 2 ^ (n + 1)] /\ waiting' = [waiting EXCEPT ![n] = @ - 2]
  /\ UNCHANGED <<flushes, ready, due, paid, saved, out>>
Work(n) ==
  /\ left' = [left EXCEPT ![n] = @ - 1]
  /\ ready' = IF left[n] = 1 THEN ready \cup {n} ELSE ready
Pay(n, saves) ==
  /\ n \in due /\ due' = due \ {n}
  /\ IF left[n] > 0
     THEN Work(n) /\ UNCHANGED saved
     ELSE saved' = (IF saves /\ saved < SavedMax THEN saved + 1 ELSE saved) /\ UNCHANGED <<left, ready>>
  /\ UNCHANGED <<flushes, waiting, paid, out>>
(* What is saved goes to the deepest merge: one that is finished early never  *)
(* finds the next level still at work.                                        *)
IsDeepest(n) == \A m \in Levels : m > n => left[m] = 0
Spend(n) ==
  /\ saved > 0 /\ left[n] > 0 /\ due = {} /\ \A m \in Levels : ~CanStart(m)
  /\ IsDeepest(n)
  /\ Work(n) /\ saved' = saved - 1 /\ UNCHANGED <<flushes, waiting, due, paid, out>>
(* Results come in when all is paid, the deepest first: they find the merge   *)
(* done that was in their way.                                                *)
Arrive(n) ==
  /\ n \in ready /\ due = {}
  /\ \A m \in ready : m <= n
  /\ ready' = ready \ {n}
  /\ waiting' = IF n + 1 \in Levels THEN [waiting EXCEPT ![n + 1] = @ + 1] ELSE waiting
  /\ out' = IF n + 1 \notin Levels THEN out + 1 ELSE out
  /\ UNCHANGED <<flushes, left, due, paid, saved>>
Next == Flush \/ Round(TRUE) \/ Round(FALSE) \/ \E n \in Levels : Start(n) \/ Spend(n) \/ Arrive(n) \/ \E saves \in BOOLEAN : Pay(n, saves)
Spec == Init /\ [][Next]_vars
Fair == Spec /\ WF_vars(Flush) /\ WF_vars(Round(TRUE)) /\ \A n \in Levels : WF_vars(Start(n)) /\ WF_vars(Pay(n, FALSE)) /\ WF_vars(Arrive(n))
-----------------------------------------------------------------------------
(* A merge is finished before the next one of its level is due: two runs that *)
(* are merged and one that waits are all that a level ever has.               *)
InTime == \A n \in Levels : IsBusy(n) => waiting[n] <= 1
(* What is owed is bounded, level by level.                                   *)
OwedIsBounded == \A n \in Levels : left[n] <= 2 ^ (n + 1) /\ waiting[n] <= 2
(* Every flush is in some run.                                                *)
RECURSIVE Sum(_)
Sum(n) == IF n = NumLevels THEN out * 2 ^ NumLevels
          ELSE (waiting[n] + (IF IsBusy(n) THEN 2 ELSE 0)) * 2 ^ n + Sum(n + 1)
NothingLost == Sum(0) = flushes
(* Work for a flush is bounded, whatever is owed.                             *)
PaidIsBounded == saved <= SavedMax /\ due \subseteq Levels
(* What is begun comes to an end as long as anybody writes.                   *)
Merged == \A n \in Levels : (left[n] > 0 /\ flushes + 2 ^ (n + 1) <= FlushesMax) ~> (left[n] = 0)
=============================================================================
