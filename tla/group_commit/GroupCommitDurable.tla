------------------------- MODULE GroupCommitDurable -------------------------
(* Commits are a durable log in the order of their timestamps; who is told of *)
(* one is told of all before it.  Here a crash is an action: it keeps what is *)
(* on the device, and of the rest any prefix of each stream; of that, commits *)
(* whose whole vector is kept.                                                *)
EXTENDS GroupCommit
VARIABLE left      \* what the crash has left
Up == <<0>>
Running == Init /\ left = Up
Lost(kept) == SelectSeq(order, LAMBDA c : Covers(kept, lv[c]))
Crash ==
  /\ left = Up
  /\ \E kept \in [Streams -> 0..NumCommits] :
       /\ \A s \in Streams : device[s] <= kept[s] /\ kept[s] <= position[s]
       /\ left' = Lost(kept)
  /\ UNCHANGED vars
Work == left = Up /\ Next /\ left' = left
Crashing == Running /\ [][Work \/ Crash]_<<vars, left>>
LastTold == {i \in DOMAIN order : told[order[i]] = "durable"}
Log == INSTANCE DurableLog WITH
  Groups <- {<<c>> : c \in Commits},
  Ordered <- FALSE,
  log <- IF left = Up THEN order ELSE left,
  acked <- {order[i] : i \in {j \in DOMAIN order : \E k \in LastTold : j <= k}}
IsDurableLog == Log!Spec
=============================================================================
