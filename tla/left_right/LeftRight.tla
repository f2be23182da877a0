------------------------------ MODULE LeftRight -----------------------------
(* A value in two copies: readers use one in place while the other is         *)
(* replaced.  Code: aether-lsm (version/left_right).                          *)
(*                                                                            *)
(* A side has a lock in each shard; who reads holds that of its shard, shared.*)
(* Who replaces the value writes the side that readers are not sent to, shard *)
(* by shard, sends them there, and then writes the other one.                 *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumReaders, NumShards, ValuesMax
VARIABLES
  side,                   \* where readers are sent
  copy, writing,          \* value of each side and shard; the place that is locked, <<>> if none
  newest,                 \* the number of the newest value
  step, shard,            \* of the writer: how far, which shard is next
  pc, at, place, saw, from \* reader: how far, the side, its shard, what it reads, the least it may see
cells == <<side, copy, writing, newest, step, shard>>
readers == <<pc, at, place, saw, from>>
vars == <<cells, readers>>
Readers == 1..NumReaders
Sides == {0, 1}
Shards == 1..NumShards
Init ==
  /\ side = 0 /\ copy = [s \in Sides |-> [h \in Shards |-> 0]] /\ writing = <<>> /\ newest = 0
  /\ step = "idle" /\ shard = 1
  /\ pc = [r \in Readers |-> "out"] /\ at = [r \in Readers |-> 0] /\ place = [r \in Readers |-> 1]
  /\ saw = [r \in Readers |-> 0] /\ from = [r \in Readers |-> 0]
-----------------------------------------------------------------------------
ChooseSide(r, h) ==
  /\ pc[r] = "out"
  /\ pc' = [pc EXCEPT ![r] = "sent"] /\ at' = [at EXCEPT ![r] = side]
  /\ place' = [place EXCEPT ![r] = h] /\ from' = [from EXCEPT ![r] = IF from[r] > newest THEN from[r] ELSE newest]
  /\ UNCHANGED <<cells, saw>>
(* Never waits: a side that is locked is not where readers are sent by now.   *)
EnterSide(r, entered) ==
  /\ pc[r] = "sent"
  /\ entered => writing # <<at[r], place[r]>>
  /\ pc' = [pc EXCEPT ![r] = IF entered THEN "entered" ELSE "out"]
  /\ saw' = [saw EXCEPT ![r] = IF entered THEN copy[at[r]][place[r]] ELSE saw[r]]
  /\ UNCHANGED <<cells, at, place, from>>
(* Who comes late may have met a value to which nobody has been sent yet.     *)
ConfirmSide(r) ==
  /\ pc[r] = "entered"
  /\ pc' = [pc EXCEPT ![r] = IF side = at[r] THEN "in" ELSE "out"]
  /\ UNCHANGED <<cells, at, place, saw, from>>
LeaveSide(r) ==
  /\ pc[r] = "in"
  /\ pc' = [pc EXCEPT ![r] = "out"] /\ from' = [from EXCEPT ![r] = saw[r]]
  /\ UNCHANGED <<cells, at, place, saw>>
-----------------------------------------------------------------------------
(* One at a time, under the lock of the number.                               *)
BeginWrite ==
  /\ step = "idle" /\ newest < ValuesMax
  /\ step' = "first" /\ shard' = 1 /\ UNCHANGED <<side, copy, writing, newest, readers>>
IsIn(r) == pc[r] \in {"entered", "in"}
IsLeft(s, h) == \A r \in Readers : ~(IsIn(r) /\ at[r] = s /\ place[r] = h)
LockSide ==
  /\ step \in {"first", "second"} /\ writing = <<>> /\ shard <= NumShards
  /\ IsLeft(1 - side, shard)
  /\ writing' = <<1 - side, shard>> /\ UNCHANGED <<side, copy, newest, step, shard, readers>>
WriteSide ==
  /\ writing # <<>>
  /\ copy' = [copy EXCEPT ![writing[1]][writing[2]] = newest + 1]
  /\ writing' = <<>> /\ shard' = shard + 1
  /\ UNCHANGED <<side, newest, step, readers>>
(* All shards of the first side have the new value.                           *)
SendReaders ==
  /\ step = "first" /\ writing = <<>>
  /\ shard > NumShards
  /\ side' = 1 - side /\ step' = "second" /\ shard' = 1 /\ UNCHANGED <<copy, writing, newest, readers>>
EndWrite ==
  /\ step = "second" /\ writing = <<>>
  /\ shard > NumShards
  /\ newest' = newest + 1 /\ step' = "idle" /\ UNCHANGED <<side, copy, writing, shard, readers>>
Next ==
  \/ \E r \in Readers, h \in Shards : ChooseSide(r, h)
  \/ \E r \in Readers, entered \in BOOLEAN : EnterSide(r, entered)
  \/ \E r \in Readers : ConfirmSide(r) \/ LeaveSide(r)
  \/ BeginWrite \/ LockSide \/ WriteSide \/ SendReaders \/ EndWrite
Spec == Init /\ [][Next]_vars
Fair == Spec /\ WF_vars(LockSide) /\ WF_vars(WriteSide) /\ WF_vars(SendReaders) /\ WF_vars(EndWrite)
             /\ \A r \in Readers : WF_vars(LeaveSide(r)) /\ WF_vars(ConfirmSide(r))
-----------------------------------------------------------------------------
(* Nobody uses what is being replaced.                                        *)
Undisturbed == \A r \in Readers : IsIn(r) => copy[at[r]][place[r]] = saw[r] /\ writing # <<at[r], place[r]>>
(* Who begins after an install has returned sees it, and nobody goes back.    *)
NeverBack == \A r \in Readers : pc[r] = "in" => saw[r] >= from[r]
(* Where readers are sent, nobody writes: they find it open.                  *)
Open == writing # <<>> => writing[1] # side
(* After an install nothing is left of what was before.                       *)
NothingKept == step = "idle" => \A s \in Sides, h \in Shards : copy[s][h] = newest
(* Who replaces the value comes to an end.                                    *)
Ends == (step = "first") ~> (step = "idle")
=============================================================================
