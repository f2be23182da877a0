---------------------------- MODULE GroupCommit -----------------------------
(* Group commit: leaders and followers, commits that rest on others which are *)
(* not durable yet, acknowledgement over the durable vector and durable_ts, a *)
(* failed sync: L3, L4, T1, T3, R2.  Code: aether-wal (commit, stream,        *)
(* poison), aether-txn (commit, publication).                                 *)
(*                                                                            *)
(* Locks fall when the commit record is claimed, so others may rest on it at  *)
(* once.  The draw of a timestamp and the claim are one step here             *)
(* (Publication); a record is one position of its stream, how it gets into    *)
(* the file is LogBuffer's.  A crash is no action: what is on the device      *)
(* stays there, so an answer is safe if all it rests on is there when given.  *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumCommits, WithFailure
VARIABLES
  position, slv,        \* stream -> records claimed, accumulated vector
  durable, device,      \* published; what a power cut keeps
  order, lv,            \* commits by timestamp; commit -> its vector
  rests,                \* history: commit -> those whose changes it has read or replaced
  pc, target, place,    \* whoever waits: how far it is, for which vector, where it sleeps
  tried,                \* streams that it found led by others
  leader, to, stage,    \* stream -> who flushes (0: nobody), up to where, how far
  poisoned, broken,     \* writing has ended; streams whose sync has failed
  told                  \* commit -> "nothing", "durable", "in doubt"
claims == <<position, slv, order, lv, rests>>
waits == <<pc, target, place, tried>>
leads == <<leader, to, stage>>
vars == <<claims, durable, device, waits, leads, poisoned, broken, told>>
Streams == 1..NumStreams
Commits == 1..NumCommits
Home(c) == ((c - 1) % NumStreams) + 1
Zero == [s \in Streams |-> 0]
Max(a, b) == IF a > b THEN a ELSE b
Join(a, b) == [s \in Streams |-> Max(a[s], b[s])]
Covers(a, b) == \A s \in Streams : b[s] <= a[s]
Init ==
  /\ position = Zero /\ slv = [s \in Streams |-> Zero] /\ durable = Zero /\ device = Zero
  /\ order = <<>> /\ lv = [c \in Commits |-> Zero] /\ rests = [c \in Commits |-> {}]
  /\ pc = [c \in Commits |-> "new"] /\ target = [c \in Commits |-> Zero] /\ place = [c \in Commits |-> 0]
  /\ tried = [c \in Commits |-> {}]
  /\ leader = Zero /\ to = Zero /\ stage = [s \in Streams |-> "none"]
  /\ poisoned = FALSE /\ broken = {} /\ told = [c \in Commits |-> "nothing"]
-----------------------------------------------------------------------------
Claimed == {order[i] : i \in DOMAIN order}
TsOf(c) == CHOOSE i \in DOMAIN order : order[i] = c
LvOfAll(D) == [s \in Streams |-> LET all == {lv[d][s] : d \in D} \cup {0} IN CHOOSE m \in all : \A x \in all : x <= m]
(* Who claims has looked whether writing has ended, a moment before.          *)
Claim(c, D) ==
  /\ pc[c] = "new"
  /\ LET s == Home(c)
         deps == LvOfAll({d \in D : ~Covers(durable, lv[d])})
         vector == Join(slv[s], [deps EXCEPT ![s] = position[s] + 1])
     IN /\ lv' = [lv EXCEPT ![c] = vector] /\ slv' = [slv EXCEPT ![s] = vector] /\ target' = [target EXCEPT ![c] = vector]
        /\ position' = [position EXCEPT ![s] = @ + 1]
  /\ order' = Append(order, c) /\ rests' = [rests EXCEPT ![c] = D]
  /\ pc' = [pc EXCEPT ![c] = "look"]
  /\ UNCHANGED <<durable, device, place, tried, leads, poisoned, broken, told>>
-----------------------------------------------------------------------------
(* Waiting: look whether it is durable, whether writing has ended, and once   *)
(* more; then lead a stream that lags, or sleep behind its leader.            *)
Still == UNCHANGED <<claims, durable, device, leads, poisoned, broken>>
IsDurable(v) == Covers(durable, v)
Open == {i \in DOMAIN order : ~IsDurable(lv[order[i]])}
First == CHOOSE i \in Open : \A j \in Open : i <= j
(* Everything up to its timestamp is durable (T3).                            *)
IsPassed(c) == \A i \in 1..TsOf(c) : IsDurable(lv[order[i]])
Acknowledge(c) ==
  /\ pc[c] = "look" /\ IsDurable(target[c])
  /\ IsPassed(c)
  /\ told' = [told EXCEPT ![c] = "durable"] /\ pc' = [pc EXCEPT ![c] = "over"]
  /\ Still /\ UNCHANGED <<target, place, tried>>
WaitForEarlier(c) ==
  /\ pc[c] = "look" /\ IsDurable(target[c]) /\ ~IsPassed(c)
  /\ target' = [target EXCEPT ![c] = lv[order[First]]]
  /\ Still /\ UNCHANGED <<pc, place, tried, told>>
LookFurther(c) ==
  /\ pc[c] = "look" /\ ~IsDurable(target[c])
  /\ pc' = [pc EXCEPT ![c] = IF poisoned THEN "doubting" ELSE "advance"]
  /\ tried' = [tried EXCEPT ![c] = {}]
  /\ Still /\ UNCHANGED <<target, place, told>>
(* A flush may have been published between the two looks.                     *)
Doubt(c) ==
  /\ pc[c] = "doubting"
  /\ IF IsDurable(target[c])
     THEN pc' = [pc EXCEPT ![c] = "look"] /\ UNCHANGED told
     ELSE pc' = [pc EXCEPT ![c] = "over"] /\ told' = [told EXCEPT ![c] = "in doubt"]
  /\ Still /\ UNCHANGED <<target, place, tried>>
Lags(c, s) == durable[s] < target[c][s]
Lead(c, s) ==
  /\ pc[c] = "advance" /\ leader[s] = 0 /\ Lags(c, s)
  /\ leader' = [leader EXCEPT ![s] = c] /\ stage' = [stage EXCEPT ![s] = "leads"] /\ pc' = [pc EXCEPT ![c] = "leading"]
  /\ UNCHANGED <<claims, durable, device, target, place, tried, to, poisoned, broken, told>>
IsLed(c, s) ==
  /\ pc[c] = "advance" /\ leader[s] # 0 /\ Lags(c, s) /\ s \notin tried[c] /\ tried' = [tried EXCEPT ![c] = @ \cup {s}]
  /\ Still /\ UNCHANGED <<pc, target, place, told>>
(* None could be led.  Under the lock of the lead: sleep only if there is a   *)
(* leader to wake it.                                                         *)
Follow(c, s) ==
  /\ pc[c] = "advance" /\ s \in tried[c] /\ \A other \in Streams : Lags(c, other) => other \in tried[c]
  /\ IF leader[s] # 0 /\ Lags(c, s) /\ ~poisoned
     THEN pc' = [pc EXCEPT ![c] = "asleep"] /\ place' = [place EXCEPT ![c] = s]
     ELSE pc' = [pc EXCEPT ![c] = "look"] /\ UNCHANGED place
  /\ Still /\ UNCHANGED <<target, tried, told>>
(* For nothing, as condition variables do, or because writing has ended.      *)
Wake(c) ==
  /\ pc[c] = "asleep" /\ pc' = [pc EXCEPT ![c] = "look"]
  /\ Still /\ UNCHANGED <<target, place, tried, told>>
Return(c) ==
  /\ pc[c] = "advance" /\ tried[c] = {} /\ \A s \in Streams : ~Lags(c, s)
  /\ pc' = [pc EXCEPT ![c] = "look"] /\ Still /\ UNCHANGED <<target, place, tried, told>>
-----------------------------------------------------------------------------
(* The leader, who looks itself whether writing has ended: after a failure    *)
(* nothing is tried again.                                                    *)
Lone == UNCHANGED <<claims, waits, leader, told>>
Close(s) ==
  /\ stage[s] = "leads"
  /\ IF poisoned THEN stage' = [stage EXCEPT ![s] = "done"] /\ UNCHANGED to
     ELSE stage' = [stage EXCEPT ![s] = "closed"] /\ to' = [to EXCEPT ![s] = position[s]]
  /\ Lone /\ UNCHANGED <<durable, device, poisoned, broken>>
(* After a failed sync the system may call bytes written that it has dropped. *)
Sync(s) ==
  /\ stage[s] = "closed"
  /\ stage' = [stage EXCEPT ![s] = "synced"]
  /\ device' = IF s \in broken THEN device ELSE [device EXCEPT ![s] = to[s]]
  /\ Lone /\ UNCHANGED <<durable, to, poisoned, broken>>
FailSync(s) ==
  /\ WithFailure /\ stage[s] = "closed" /\ stage' = [stage EXCEPT ![s] = "done"]
  /\ poisoned' = TRUE
  /\ broken' = broken \cup {s}
  /\ Lone /\ UNCHANGED <<durable, device, to>>
Publish(s) ==
  /\ stage[s] = "synced" /\ stage' = [stage EXCEPT ![s] = "done"] /\ durable' = [durable EXCEPT ![s] = to[s]]
  /\ Lone /\ UNCHANGED <<device, to, poisoned, broken>>
(* The hand-over: whoever sleeps here looks again, and leads if it must.      *)
Woken(s) == {c \in Commits : pc[c] = "asleep" /\ place[c] = s}
StepDown(s) ==
  /\ stage[s] = "done" /\ stage' = [stage EXCEPT ![s] = "none"] /\ leader' = [leader EXCEPT ![s] = 0]
  /\ pc' = [c \in Commits |-> IF c = leader[s] \/ c \in Woken(s) THEN "look" ELSE pc[c]]
  /\ UNCHANGED <<claims, durable, device, target, place, tried, to, poisoned, broken, told>>
Wait(c) == Acknowledge(c) \/ WaitForEarlier(c) \/ LookFurther(c) \/ Doubt(c) \/ Return(c) \/ \E s \in Streams : Lead(c, s) \/ IsLed(c, s) \/ Follow(c, s)
Flush(s) == Close(s) \/ Sync(s) \/ Publish(s) \/ StepDown(s)
Next ==
  \/ \E c \in Commits : \/ Acknowledge(c) \/ WaitForEarlier(c) \/ LookFurther(c) \/ Doubt(c) \/ Return(c) \/ Wake(c)
                        \/ \E s \in Streams : Lead(c, s) \/ IsLed(c, s) \/ Follow(c, s)
                        \/ \E D \in SUBSET Claimed : Claim(c, D)
  \/ \E s \in Streams : Close(s) \/ Sync(s) \/ FailSync(s) \/ Publish(s) \/ StepDown(s)
Spec == Init /\ [][Next]_vars
Fair == Spec /\ (\A c \in Commits : WF_vars(Wait(c))) /\ \A s \in Streams : WF_vars(Flush(s))
-----------------------------------------------------------------------------
IsOnDevice(c) == c \in Claimed /\ device[Home(c)] >= lv[c][Home(c)]
RECURSIVE Below(_)
Below(S) == LET more == S \cup UNION {rests[c] : c \in S} IN IF more = S THEN S ELSE Below(more)
(* L4, T1: what is acknowledged is on the device, with all that it rests on.  *)
AcknowledgedIsSafe == \A c \in Commits : told[c] = "durable" => \A d \in Below({c}) : IsOnDevice(d)
(* T3: and with every commit before it, which readers see beside it.          *)
EarlierIsSafe == \A c \in Commits : told[c] = "durable" => \A i \in 1..TsOf(c) : \A d \in Below({order[i]}) : IsOnDevice(d)
PublishedIsOnDevice == \A s \in Streams : durable[s] <= device[s]
OneLeader ==
  /\ \A s \in Streams : (leader[s] = 0) = (stage[s] = "none") /\ \A c \in Commits : leader[s] = c => pc[c] = "leading"
  /\ \A c \in Commits : pc[c] = "leading" => Cardinality({s \in Streams : leader[s] = c}) = 1
(* R2: who is told of a doubt was not durable when it was told.               *)
DoubtIsDoubt == [][\A c \in Commits : told[c] = "nothing" /\ told'[c] = "in doubt" => ~Covers(durable, target[c])]_vars
(* R2: nothing is tried again once writing has ended.                         *)
NothingAfterFailure == [][\A s \in Streams : poisoned /\ stage[s] = "leads" => stage'[s] # "closed"]_vars
(* Whoever waits is told, one way or the other.                               *)
Told == \A c \in Commits : (pc[c] # "new") ~> (told[c] # "nothing")
=============================================================================
