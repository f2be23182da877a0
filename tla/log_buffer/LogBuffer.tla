------------------------------ MODULE LogBuffer ----------------------------
(* One stream's ring: reserve, claim, fill; a leader flushes for all who came *)
(* meanwhile; a crash at any moment: L1, L2, L4, and group commit.  Code:     *)
(* aether-wal (ring, stream, commit, segment).  LogBufferTrace.tla binds the  *)
(* events of the running code to these actions.                               *)
(*                                                                            *)
(* A span <<from, to>> is a record or a pad: the ring holds spans, and one    *)
(* that is stored over another destroys it.  A group starts with a record of  *)
(* StartUnits that the leader claims, together with the pad before it.        *)
EXTENDS Naturals, FiniteSets
CONSTANTS NumWriters, RingUnits, Block,
          Lengths,         \* of records
          StartUnits,      \* length of the record that starts a group
          PadMin,          \* a pad is at least this long
          Slack,           \* kept free of reservations for what the leader claims
          Gaps,            \* blocks between what is left after a crash and a new incarnation
          PositionsMax,    \* bound of the model
          CrashesMax
VARIABLES
  position,     \* end of what was claimed
  reserved,     \* end of what may be claimed: only rises, but for what a boundary gives back
  ring,         \* spans that are stored and not durable
  filled,       \* block of the ring -> units of the current lap that are filled
  step, size, own, \* writer: how far it is, the length and the position of its record
  lead,         \* the leader: "none", "waiting", "copied", "written", "synced"
  from, to,     \* what it flushes: [from, to)
  image,        \* what it has copied out
  file,         \* written up to end; below good it is what belongs there
  device,       \* positions below are on the device
  durable,      \* published
  answered,     \* history: the largest end of a record that was answered
  mode, crashes
flush == <<lead, from, to, image>>
disk == <<file, device>>
vars == <<position, reserved, ring, filled, step, size, own, flush, disk, durable, answered, mode, crashes>>

Writers == 1..NumWriters
NumBlocks == RingUnits \div Block
Blocks == 0..(NumBlocks - 1)
Gap(p) == (Block - (p % Block)) % Block        \* from p to a block boundary
Pad(p) == IF Gap(p) > 0 /\ Gap(p) < PadMin THEN Gap(p) + Block ELSE Gap(p)
Start == RingUnits                              \* positions start here, so that 0 is never one
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
(* Two spans that share a unit of the ring, one of them a lap later perhaps.  *)
Distance(a, b) == (b + RingUnits - (a % RingUnits)) % RingUnits
Meets(x, y) == Distance(x[1], y[1]) < x[2] - x[1] \/ Distance(y[1], x[1]) < y[2] - y[1]
Put(spans, new) == IF new[1] = new[2] THEN spans ELSE {x \in spans : ~Meets(x, new)} \cup {new}
(* How many units of a span lie in a block of the ring.                       *)
Part(span, b) ==
  LET first == span[1] \div Block
      n == first + ((b + NumBlocks - (first % NumBlocks)) % NumBlocks)
  IN IF n * Block < span[2] THEN Min(span[2], (n + 1) * Block) - Max(span[1], n * Block) ELSE 0
Count(span) == [b \in Blocks |-> filled[b] + (IF span[1] = span[2] THEN 0 ELSE Part(span, b))]
RECURSIVE Units(_)
Units(spans) == IF spans = {} THEN 0 ELSE LET x == CHOOSE x \in spans : TRUE IN (x[2] - x[1]) + Units(spans \ {x})
Own(w) == <<own[w], own[w] + size[w]>>
Opening(p) == <<p, p + StartUnits>>
Opened(p) == Put({}, Opening(p))
Init ==
  /\ position = Start + StartUnits /\ reserved = Start + StartUnits /\ ring = Opened(Start)
  /\ filled = [b \in Blocks |-> IF StartUnits = 0 THEN 0 ELSE Part(Opening(Start), b)]
  /\ step = [w \in Writers |-> "idle"] /\ size = [w \in Writers |-> 0] /\ own = [w \in Writers |-> 0]
  /\ lead = "none" /\ from = Start /\ to = Start /\ image = {}
  /\ file = [end |-> Start, good |-> Start] /\ device = Start /\ durable = Start
  /\ answered = 0 /\ mode = "up" /\ crashes = 0
-----------------------------------------------------------------------------
Credit(w, n) ==
  /\ mode = "up" /\ step[w] = "idle"
  /\ reserved + n + Slack <= durable + RingUnits          \* nothing is overwritten before it is durable
  /\ reserved + n + Slack <= PositionsMax
  /\ reserved' = reserved + n /\ step' = [step EXCEPT ![w] = "credit"] /\ size' = [size EXCEPT ![w] = n]
  /\ UNCHANGED <<position, ring, filled, own, flush, disk, durable, answered, mode, crashes>>
Reserve(w) ==
  /\ mode = "up" /\ step[w] = "credit" /\ step' = [step EXCEPT ![w] = "claimed"]
  /\ own' = [own EXCEPT ![w] = position] /\ position' = position + size[w]
  /\ UNCHANGED <<reserved, ring, filled, size, flush, disk, durable, answered, mode, crashes>>
Store(w) ==
  /\ mode = "up" /\ step[w] = "claimed" /\ step' = [step EXCEPT ![w] = "stored"]
  /\ ring' = Put(ring, Own(w))
  /\ UNCHANGED <<position, reserved, filled, size, own, flush, disk, durable, answered, mode, crashes>>
Fill(w) ==
  /\ mode = "up" /\ step[w] = "stored" /\ step' = [step EXCEPT ![w] = "filled"]
  /\ filled' = Count(Own(w))
  /\ UNCHANGED <<position, reserved, ring, size, own, flush, disk, durable, answered, mode, crashes>>
Leave(w) == step' = [step EXCEPT ![w] = "idle"] /\ own' = [own EXCEPT ![w] = 0] /\ size' = [size EXCEPT ![w] = 0]
Ack(w) ==                                                                 \* L4
  /\ mode = "up" /\ step[w] = "filled" /\ Own(w)[2] <= durable
  /\ Leave(w) /\ answered' = Max(answered, Own(w)[2])
  /\ UNCHANGED <<position, reserved, ring, filled, flush, disk, durable, mode, crashes>>
GoOn(w) ==                                                                \* nobody waits for this one
  /\ mode = "up" /\ step[w] = "filled" /\ Leave(w)
  /\ UNCHANGED <<position, reserved, ring, filled, flush, disk, durable, answered, mode, crashes>>
-----------------------------------------------------------------------------
(* The leader closes the group at a block boundary, unless it is empty, waits *)
(* until all its blocks are filled, copies them out, writes, syncs, publishes.*)
(* Pad and next start are stored and counted by the leader itself.            *)
FlushBegin ==
  /\ mode = "up" /\ lead = "none" /\ position > durable + StartUnits
  /\ lead' = "waiting" /\ from' = durable /\ to' = position + Pad(position)
  /\ position' = to' + StartUnits /\ reserved' = reserved + Pad(position) + StartUnits
  /\ ring' = Put(Put(ring, <<position, to'>>), Opening(to'))
  /\ filled' = Count(<<position, position'>>)
  /\ UNCHANGED <<step, size, own, image, disk, durable, answered, mode, crashes>>
CopyOut ==
  /\ mode = "up" /\ lead = "waiting"
  /\ \A n \in (from \div Block)..((to - 1) \div Block) : filled[n % NumBlocks] = Block
  /\ lead' = "copied" /\ image' = {x \in ring : from <= x[1] /\ x[2] <= to}
  /\ UNCHANGED <<position, reserved, ring, filled, step, size, own, from, to, disk, durable, answered, mode, crashes>>
IsWhole == Units(image) = to - from
Written == IF lead \in {"copied", "written"} /\ IsWhole /\ file.good >= from THEN to ELSE file.good
WriteOut ==
  /\ mode = "up" /\ lead = "copied" /\ lead' = "written" /\ file' = [end |-> to, good |-> Written]
  /\ UNCHANGED <<position, reserved, ring, filled, step, size, own, from, to, image, device, durable, answered, mode, crashes>>
Sync ==
  /\ mode = "up" /\ lead = "written" /\ lead' = "synced" /\ device' = to
  /\ UNCHANGED <<position, reserved, ring, filled, step, size, own, from, to, image, file, durable, answered, mode, crashes>>
Publish ==
  /\ mode = "up" /\ lead = "synced" /\ lead' = "none"
  /\ filled' = [b \in Blocks |-> IF \E n \in (from \div Block)..((to - 1) \div Block) : n % NumBlocks = b THEN 0 ELSE filled[b]]
  /\ durable' = to /\ ring' = {x \in ring : x[2] > to} /\ image' = {}
  /\ UNCHANGED <<position, reserved, step, size, own, from, to, disk, answered, mode, crashes>>
-----------------------------------------------------------------------------
(* A crash keeps what is on the device and any prefix of what was written.    *)
MayBeLeft == device..Max(device, IF lead \in {"copied", "written"} THEN to ELSE device)
Crash(end) ==
  /\ mode = "up" /\ crashes < CrashesMax /\ crashes' = crashes + 1 /\ mode' = "down"
  /\ end \in MayBeLeft /\ device' = end
  /\ file' = [end |-> end, good |-> Min(end, Written)]
  /\ UNCHANGED <<position, reserved, ring, filled, step, size, own, flush, durable, answered>>
(* A new incarnation starts at a block boundary above what can be read.       *)
Recover(gap) ==
  /\ mode = "down" /\ mode' = "up"
  /\ LET start == device + Gap(device) + gap * Block IN
       /\ position' = start + StartUnits /\ reserved' = start + StartUnits /\ durable' = start /\ device' = start
       /\ from' = start /\ to' = start
       /\ file' = [end |-> start, good |-> IF file.good < device THEN file.good ELSE start]
       /\ ring' = Opened(start) /\ image' = {}
       /\ filled' = [b \in Blocks |-> IF StartUnits = 0 THEN 0 ELSE Part(Opening(start), b)]
  /\ step' = [w \in Writers |-> "idle"] /\ size' = [w \in Writers |-> 0] /\ own' = [w \in Writers |-> 0]
  /\ lead' = "none"
  /\ UNCHANGED <<answered, crashes>>
Next ==
  \/ \E w \in Writers : \E n \in Lengths : Credit(w, n)
  \/ \E w \in Writers : Reserve(w) \/ Store(w) \/ Fill(w) \/ Ack(w) \/ GoOn(w)
  \/ FlushBegin \/ CopyOut \/ WriteOut \/ Sync \/ Publish
  \/ \E end \in MayBeLeft : Crash(end)
  \/ \E gap \in Gaps : Recover(gap)
Spec == Init /\ [][Next]_vars
Working(w) == Reserve(w) \/ Store(w) \/ Fill(w) \/ Ack(w)
Restarting == \E gap \in Gaps : Recover(gap)
Fair == Spec /\ WF_vars(FlushBegin) /\ WF_vars(CopyOut) /\ WF_vars(WriteOut) /\ WF_vars(Sync) /\ WF_vars(Publish)
             /\ WF_vars(Restarting) /\ \A w \in Writers : WF_vars(Working(w))
-----------------------------------------------------------------------------
(* L1, L2: a position has one owner.                                          *)
OneOwner == \A v, w \in Writers : v # w /\ own[v] # 0 /\ own[w] # 0 =>
  own[v] + size[v] <= own[w] \/ own[w] + size[w] <= own[v]
(* The marks of the ring: durable <= position <= reserved <= durable + size.  *)
MarksInOrder == mode = "up" =>
  /\ durable <= position /\ position <= reserved /\ device >= durable
  /\ position <= durable + RingUnits
(* L2: what reaches the file is what belongs there.                           *)
FileIsTrue == file.good = file.end
NoHole == file.good >= device
(* L2: what is in the ring and not durable is not overwritten.                *)
NothingOverwritten == mode = "up" => \A w \in Writers :
  step[w] \in {"stored", "filled"} /\ own[w] >= durable => Own(w) \in ring
(* L4: what was answered is on the device.                                    *)
AnsweredIsDurable == answered <= device
(* Positions are never used again, and marks rise between crashes.            *)
Rising == [][/\ answered <= answered' /\ device <= device'
             /\ (mode = "up" /\ mode' = "up" => position <= position' /\ durable <= durable')]_vars
(* A filled record is answered, unless the process dies.                      *)
Answered == \A w \in Writers : (step[w] = "filled") ~> (step[w] = "idle")
=============================================================================
