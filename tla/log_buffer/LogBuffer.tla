------------------------------ MODULE LogBuffer ----------------------------
(* One stream's ring: reserve, claim, fill; a leader flushes for all who came *)
(* meanwhile; a crash at any moment: L1, L2, L4, and group commit.  Code:     *)
(* aether-wal (ring, stream, commit, segment).  The actions Reserve, Fill,    *)
(* FlushBegin, Publish, Ack are the events of aether-wal's trace.rs.          *)
(*                                                                            *)
(* A record is one unit long, a block is Block units.  A unit of the ring     *)
(* holds the position of what was last stored there; a file holds positions.  *)
EXTENDS Naturals, FiniteSets
CONSTANTS NumWriters, RingUnits, Block,
          PositionsMax,    \* bound of the model
          CrashesMax
VARIABLES
  position,     \* end of what was claimed
  reserved,     \* end of what may be claimed: only rises, but for what a boundary gives back
  ring,         \* unit -> position stored there
  filled,       \* block of the ring -> units of the current lap that are filled
  step, own,    \* writer: how far it is, its position
  lead,         \* the leader: "none", "closing", "waiting", "copied", "written", "synced"
  from, to,     \* what it flushes: [from, to)
  image,        \* what it has copied out
  file,         \* position -> what stands there; 0: nothing yet
  device,       \* positions below are on the device
  durable,      \* published
  answered,     \* history: largest position whose record was answered
  mode, crashes
flush == <<lead, from, to, image>>
disk == <<file, device>>
vars == <<position, reserved, ring, filled, step, own, flush, disk, durable, answered, mode, crashes>>

Writers == 1..NumWriters
Units == 0..(RingUnits - 1)
Blocks == 0..(RingUnits \div Block - 1)
UnitOf(p) == p % RingUnits
BlockOf(p) == (p % RingUnits) \div Block
Pad(p) == (Block - (p % Block)) % Block        \* from p to a block boundary
Start == RingUnits                              \* positions start here, so that 0 is never one
Positions == Start..(PositionsMax - 1)
Max(a, b) == IF a > b THEN a ELSE b
Init ==
  /\ position = Start /\ reserved = Start /\ ring = [u \in Units |-> 0] /\ filled = [b \in Blocks |-> 0]
  /\ step = [w \in Writers |-> "idle"] /\ own = [w \in Writers |-> 0]
  /\ lead = "none" /\ from = Start /\ to = Start /\ image = [u \in Units |-> 0]
  /\ file = [p \in Positions |-> 0] /\ device = Start /\ durable = Start
  /\ answered = 0 /\ mode = "up" /\ crashes = 0
-----------------------------------------------------------------------------
(* Slack for what the leader claims: a pad.                                   *)
Slack == Block
Credit(w) ==
  /\ mode = "up" /\ step[w] = "idle"
  /\ reserved + 1 + Slack <= durable + RingUnits          \* nothing is overwritten before it is durable
  /\ reserved + 1 + Slack <= PositionsMax
  /\ reserved' = reserved + 1 /\ step' = [step EXCEPT ![w] = "credit"]
  /\ UNCHANGED <<position, ring, filled, own, flush, disk, durable, answered, mode, crashes>>
Reserve(w) ==
  /\ mode = "up" /\ step[w] = "credit" /\ step' = [step EXCEPT ![w] = "claimed"]
  /\ own' = [own EXCEPT ![w] = position] /\ position' = position + 1
  /\ UNCHANGED <<reserved, ring, filled, flush, disk, durable, answered, mode, crashes>>
Store(w) ==
  /\ mode = "up" /\ step[w] = "claimed" /\ step' = [step EXCEPT ![w] = "stored"]
  /\ ring' = [ring EXCEPT ![UnitOf(own[w])] = own[w]]
  /\ UNCHANGED <<position, reserved, filled, own, flush, disk, durable, answered, mode, crashes>>
Fill(w) ==
  /\ mode = "up" /\ step[w] = "stored" /\ step' = [step EXCEPT ![w] = "filled"]
  /\ filled' = [filled EXCEPT ![BlockOf(own[w])] = @ + 1]
  /\ UNCHANGED <<position, reserved, ring, own, flush, disk, durable, answered, mode, crashes>>
Ack(w) ==                                                                 \* L4
  /\ mode = "up" /\ step[w] = "filled" /\ own[w] < durable
  /\ step' = [step EXCEPT ![w] = "idle"] /\ answered' = Max(answered, own[w])
  /\ own' = [own EXCEPT ![w] = 0]
  /\ UNCHANGED <<position, reserved, ring, filled, flush, disk, durable, mode, crashes>>
GoOn(w) ==                                                                \* nobody waits for this one
  /\ mode = "up" /\ step[w] = "filled" /\ step' = [step EXCEPT ![w] = "idle"] /\ own' = [own EXCEPT ![w] = 0]
  /\ UNCHANGED <<position, reserved, ring, filled, flush, disk, durable, answered, mode, crashes>>
-----------------------------------------------------------------------------
(* The leader closes the group at a block boundary, waits until all its       *)
(* blocks are filled, copies them out, writes, syncs, publishes.              *)
InClosing == {Start + p : p \in 0..(PositionsMax - Start)} \cap (position..(position + Pad(position) - 1))
FlushBegin ==
  /\ mode = "up" /\ lead = "none" /\ position > durable
  /\ lead' = "waiting" /\ from' = durable /\ to' = position + Pad(position)
  /\ position' = to' /\ reserved' = reserved + Pad(position)
  \* the pad is stored and counted by the leader itself
  /\ ring' = [u \in Units |-> IF \E p \in InClosing : UnitOf(p) = u THEN CHOOSE p \in InClosing : UnitOf(p) = u ELSE ring[u]]
  /\ filled' = IF Pad(position) = 0 THEN filled ELSE [filled EXCEPT ![BlockOf(position)] = @ + Pad(position)]
  /\ UNCHANGED <<step, own, image, disk, durable, answered, mode, crashes>>
Flushed == {p \in Positions : from <= p /\ p < to}
CopyOut ==
  /\ mode = "up" /\ lead = "waiting"
  /\ \A p \in Flushed : filled[BlockOf(p)] = Block
  /\ lead' = "copied" /\ image' = ring
  /\ UNCHANGED <<position, reserved, ring, filled, step, own, from, to, disk, durable, answered, mode, crashes>>
WriteOut ==
  /\ mode = "up" /\ lead = "copied" /\ lead' = "written"
  /\ file' = [p \in Positions |-> IF p \in Flushed THEN image[UnitOf(p)] ELSE file[p]]
  /\ UNCHANGED <<position, reserved, ring, filled, step, own, from, to, image, device, durable, answered, mode, crashes>>
Sync ==
  /\ mode = "up" /\ lead = "written" /\ lead' = "synced" /\ device' = to
  /\ UNCHANGED <<position, reserved, ring, filled, step, own, from, to, image, file, durable, answered, mode, crashes>>
Publish ==
  /\ mode = "up" /\ lead = "synced" /\ lead' = "none"
  /\ filled' = [b \in Blocks |-> IF \E p \in Flushed : BlockOf(p) = b THEN 0 ELSE filled[b]]
  /\ durable' = to
  /\ UNCHANGED <<position, reserved, ring, step, own, from, to, image, disk, answered, mode, crashes>>
-----------------------------------------------------------------------------
(* A crash keeps what is on the device and any prefix of what was written.    *)
Crash ==
  /\ mode = "up" /\ crashes < CrashesMax /\ crashes' = crashes + 1 /\ mode' = "down"
  /\ \E end \in device..Max(device, IF lead \in {"copied", "written"} THEN to ELSE device) :
       /\ device' = end
       /\ file' = [p \in Positions |-> IF p >= end THEN 0 ELSE IF p \in Flushed THEN image[UnitOf(p)] ELSE file[p]]
  /\ UNCHANGED <<position, reserved, ring, filled, step, own, flush, durable, answered>>
(* A new incarnation starts at a block boundary above what can be read.       *)
Recover ==
  /\ mode = "down" /\ mode' = "up"
  /\ LET start == device + Pad(device) IN
       /\ position' = start /\ reserved' = start /\ durable' = start /\ device' = start
       /\ from' = start /\ to' = start
       /\ file' = [p \in Positions |-> IF p >= device /\ p < start THEN p ELSE file[p]]
  /\ ring' = [u \in Units |-> 0] /\ filled' = [b \in Blocks |-> 0] /\ image' = [u \in Units |-> 0]
  /\ step' = [w \in Writers |-> "idle"] /\ own' = [w \in Writers |-> 0] /\ lead' = "none"
  /\ UNCHANGED <<answered, crashes>>
Next ==
  \/ \E w \in Writers : Credit(w) \/ Reserve(w) \/ Store(w) \/ Fill(w) \/ Ack(w) \/ GoOn(w)
  \/ FlushBegin \/ CopyOut \/ WriteOut \/ Sync \/ Publish \/ Crash \/ Recover
Spec == Init /\ [][Next]_vars
Working(w) == Reserve(w) \/ Store(w) \/ Fill(w) \/ Ack(w)
Fair == Spec /\ WF_vars(FlushBegin) /\ WF_vars(CopyOut) /\ WF_vars(WriteOut) /\ WF_vars(Sync) /\ WF_vars(Publish)
             /\ WF_vars(Recover) /\ \A w \in Writers : WF_vars(Working(w))
-----------------------------------------------------------------------------
(* L1, L2: a position has one owner.                                          *)
OneOwner == \A v, w \in Writers : v # w /\ own[v] # 0 => own[v] # own[w]
(* The marks of the ring: durable <= position <= reserved <= durable + size.  *)
MarksInOrder == mode = "up" =>
  /\ durable <= position /\ position <= reserved /\ device >= durable
  /\ position <= durable + RingUnits
(* L2: what reaches the file is what belongs there.                           *)
FileIsTrue == \A p \in Positions : file[p] = 0 \/ file[p] = p
NoHole == \A p \in Positions : p < device => file[p] = p
(* L2: what is in the ring and not durable is not overwritten.                *)
NothingOverwritten == mode = "up" => \A w \in Writers :
  step[w] \in {"stored", "filled"} /\ own[w] >= durable => ring[UnitOf(own[w])] = own[w]
(* L4: what was answered is on the device.                                    *)
AnsweredIsDurable == answered = 0 \/ answered < device
(* Positions are never used again, and marks rise between crashes.            *)
Rising == [][/\ answered <= answered' /\ device <= device'
             /\ (mode = "up" /\ mode' = "up" => position <= position' /\ durable <= durable')]_vars
(* A filled record is answered, unless the process dies.                      *)
Answered == \A w \in Writers : (step[w] = "filled") ~> (step[w] = "idle")
=============================================================================
