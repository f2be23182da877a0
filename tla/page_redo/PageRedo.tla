------------------------------ MODULE PageRedo -----------------------------
(* One page of two sectors, its lives, torn writes, the double-write area,    *)
(* and redo; crashes anywhere, also in a repair: P1, P2, P4.  Code:           *)
(* aether-buffer (torn, write_back), aether-recovery (redo, space).           *)
(*                                                                            *)
(* What stands in a sector is a number and an identity; a page is whole if    *)
(* its sectors agree.  For page file and area there is what a read gives and  *)
(* what is on the device: when the process dies the two may differ, after a   *)
(* power cut each sector is either.  The area is written durably, the page    *)
(* file is synced.  Batches may be of other pages: then the area has none of  *)
(* this one.  Its header is a sector of its own: an area that is torn may     *)
(* have the same page before and after.                                       *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS RecordsMax, CrashesMax, JumpMax
VARIABLES
  log, durable,         \* records [kind, psn, id]; durable prefix
  redoStart,            \* records before it are not read
  live, floor,          \* the space map: is the page in use, its PSN floor
  memory, first,        \* the resident page; where it was first changed since it was copied out, or 0
  stage, copy, copyEnd, \* write-back: how far it is, the image (Nothing: of others), how much log it needs
  writing,              \* what first was, until the image is durable
  place, placeDevice,   \* the page file: sector -> content
  area, areaDevice,     \* the double-write area
  phase, crashes, ids
disk == <<place, placeDevice, area, areaDevice>>
back == <<stage, copy, copyEnd, writing>>
map == <<live, floor>>
vars == <<log, durable, redoStart, map, memory, first, back, disk, phase, crashes, ids>>
Sectors == 1..2
Nothing == [psn |-> 0, id |-> 0]
Both(content) == [i \in Sectors |-> content]
Whole(sectors) == sectors[1] = sectors[2]
Content(record) == [psn |-> record.psn, id |-> record.id]
IsOfPage(record) == record.kind # "free"
OfPage == {i \in 1..Len(log) : IsOfPage(log[i])}
Last(S) == IF S = {} THEN 0 ELSE CHOOSE i \in S : \A j \in S : j <= i
Init ==
  /\ log = <<>> /\ durable = 0 /\ redoStart = 0 /\ live = FALSE /\ floor = 0
  /\ memory = Nothing /\ first = 0 /\ stage = "idle" /\ copy = Nothing /\ copyEnd = 0 /\ writing = 0
  /\ place = Both(Nothing) /\ placeDevice = Both(Nothing) /\ area = Both(Nothing) /\ areaDevice = Both(Nothing)
  /\ phase = "up" /\ crashes = 0 /\ ids = 0
-----------------------------------------------------------------------------
Up == phase = "up"
Log(kind, psn) ==
  /\ Up /\ ids < RecordsMax /\ ids' = ids + 1
  /\ log' = Append(log, [kind |-> kind, psn |-> psn, id |-> ids + 1])
  /\ UNCHANGED <<durable, redoStart, back, disk, phase, crashes>>
Dirty == first' = (IF first = 0 THEN Len(log) + 1 ELSE first)
Allocate(jump) ==                   \* the first op of a life starts above the floor and needs no old bytes
  /\ ~live /\ live' = TRUE
  /\ Log("init", floor + jump) /\ memory' = [psn |-> floor + jump, id |-> ids + 1] /\ Dirty
  /\ UNCHANGED floor
Change ==
  /\ live /\ Log("change", memory.psn + 1) /\ memory' = [psn |-> memory.psn + 1, id |-> ids + 1] /\ Dirty
  /\ UNCHANGED map
Free ==
  /\ live /\ live' = FALSE /\ Log("free", memory.psn) /\ floor' = memory.psn
  /\ UNCHANGED <<memory, first>>
FlushTo(end) ==
  /\ Up /\ durable < end /\ end <= Len(log) /\ durable' = end
  /\ UNCHANGED <<log, redoStart, map, memory, first, back, disk, phase, crashes, ids>>
Flush == FlushTo(Len(log))
(* Write-back: copy, wait for the log, the area durably, the place, sync.     *)
CopyOut ==
  /\ Up /\ stage = "idle" /\ first # 0 /\ stage' = "copied" /\ copy' = memory /\ copyEnd' = Last(OfPage)
  /\ writing' = first /\ first' = 0
  /\ UNCHANGED <<log, durable, redoStart, map, memory, disk, phase, crashes, ids>>
CopyOthers ==
  /\ Up /\ stage = "idle" /\ stage' = "copied"
  /\ UNCHANGED <<log, durable, redoStart, map, memory, first, copy, copyEnd, writing, disk, phase, crashes, ids>>
WriteArea ==
  /\ Up /\ stage = "copied" /\ stage' = "area"
  /\ copyEnd <= durable
  /\ area' = Both(copy)
  /\ UNCHANGED <<log, durable, redoStart, map, memory, first, copy, copyEnd, writing, place, placeDevice, areaDevice, phase, crashes, ids>>
WritePlace ==
  /\ Up /\ stage = "area" /\ stage' = "place" /\ place' = (IF copy = Nothing THEN place ELSE Both(copy))
  /\ areaDevice' = area
  /\ UNCHANGED <<log, durable, redoStart, map, memory, first, copy, copyEnd, writing, placeDevice, area, phase, crashes, ids>>
Sync ==
  /\ Up /\ stage = "place" /\ stage' = "idle" /\ placeDevice' = place /\ copy' = Nothing /\ copyEnd' = 0 /\ writing' = 0
  /\ UNCHANGED <<log, durable, redoStart, map, memory, first, place, area, areaDevice, phase, crashes, ids>>
(* How the positions are read beside all that is in Checkpoint.               *)
Checkpoint(to) ==
  /\ Up /\ redoStart < to /\ to <= durable
  /\ first = 0 \/ to < first
  /\ writing = 0 \/ to < writing
  /\ redoStart' = to
  /\ UNCHANGED <<log, durable, map, memory, first, back, disk, phase, crashes, ids>>
-----------------------------------------------------------------------------
Mixes(read, device) == {mix \in [Sectors -> {read[1], read[2], device[1], device[2]}] :
                          \A i \in Sectors : mix[i] \in {read[i], device[i]}}
Torn == [i \in Sectors |-> [psn |-> 0, id |-> 100 + i]]
(* In the midst of a write a read gives any mix too.                          *)
Crash(power) ==
  /\ crashes < CrashesMax /\ crashes' = crashes + 1 /\ phase' = "repair"
  /\ \E kept \in durable..Len(log) : log' = SubSeq(log, 1, kept) /\ durable' = kept
  /\ \E mix \in Mixes(place, placeDevice) :
       /\ power \/ stage = "place" \/ phase = "repaired" \/ mix = place
       /\ place' = mix /\ placeDevice' = IF power THEN mix ELSE placeDevice
  /\ \E mix \in Mixes(area, areaDevice) \cup (IF stage = "area" THEN {Torn} ELSE {}) :
       /\ power \/ stage = "area" \/ mix = area
       /\ area' = mix /\ areaDevice' = IF power THEN mix ELSE areaDevice
  /\ memory' = Nothing /\ first' = 0 /\ stage' = "idle" /\ copy' = Nothing /\ copyEnd' = 0 /\ writing' = 0
  /\ UNCHANGED <<redoStart, map, ids>>
(* The copy goes to its place if that is torn or was never written, and also  *)
(* if it is the same: that may be in the system's cache alone.                *)
Restores == Whole(area) /\ area[1] # Nothing /\ (~Whole(place) \/ place[1] = Nothing \/ place = area)
Repair ==
  /\ phase = "repair" /\ phase' = "repaired"
  /\ place' = (IF Restores THEN area ELSE place)
  /\ UNCHANGED <<log, durable, redoStart, map, memory, first, back, placeDevice, area, areaDevice, crashes, ids>>
SyncRepair ==
  /\ phase = "repaired" /\ phase' = "redo"
  /\ placeDevice' = IF Whole(area) /\ place = area THEN place ELSE placeDevice
  /\ UNCHANGED <<log, durable, redoStart, map, memory, first, back, place, area, areaDevice, crashes, ids>>
Damaged == [psn |-> 99, id |-> 0]
RECURSIVE Redone(_, _)
Redone(page, i) ==
  IF i > Len(log) THEN page
  ELSE LET record == log[i] IN
    IF ~IsOfPage(record) THEN Redone(page, i + 1)
    ELSE IF record.kind = "init" /\ (page = Damaged \/ record.psn > page.psn) THEN Redone(Content(record), i + 1)
    ELSE IF page = Damaged \/ record.psn > page.psn + 1 THEN Redone(Damaged, i + 1)      \* a hole
    ELSE IF record.psn = page.psn + 1 THEN Redone(Content(record), i + 1)
    ELSE Redone(page, i + 1)
Loaded == IF Whole(place) THEN place[1] ELSE Damaged
Told == {i \in (redoStart + 1)..Len(log) : IsOfPage(log[i])}
Frees == (1..Len(log)) \ OfPage
Inits == {i \in 1..Len(log) : log[i].kind = "init"}
Redo ==
  /\ phase = "redo"
  /\ memory' = Redone(Loaded, redoStart + 1)
  /\ phase' = IF memory' = Damaged THEN "corrupt" ELSE "up"
  /\ first' = (IF Told = {} THEN 0 ELSE CHOOSE i \in Told : \A j \in Told : i <= j)  \* what the log tells of is written again
  /\ live' = (Cardinality(Inits) > Cardinality(Frees))
  /\ floor' = IF Frees = {} THEN 0 ELSE log[Last(Frees)].psn
  /\ UNCHANGED <<log, durable, redoStart, back, disk, crashes, ids>>
Next ==
  \/ Change \/ Free \/ \E jump \in 1..JumpMax : Allocate(jump)
  \/ Flush \/ CopyOut \/ CopyOthers \/ WriteArea \/ WritePlace \/ Sync \/ \E to \in 1..durable : Checkpoint(to)
  \/ Crash(TRUE) \/ Crash(FALSE) \/ Repair \/ SyncRepair \/ Redo
Spec == Init /\ [][Next]_vars
Fair == Spec /\ WF_vars(Repair) /\ WF_vars(SyncRepair) /\ WF_vars(Redo)
-----------------------------------------------------------------------------
Newest == IF OfPage = {} THEN Nothing ELSE Content(log[Last(OfPage)])
(* The resident page is what the log says, before and after any crash.        *)
MemoryIsNewest == Up => memory = Newest
(* P4: no page is lost to tearing, nor is one found with a hole.              *)
NeverCorrupt == phase # "corrupt"
(* P1: a whole page on disk is one that the kept log has.                     *)
PlaceIsInLog == phase \in {"repair", "redo"} /\ Whole(place) =>
  place[1] \in {Nothing} \cup {Content(log[i]) : i \in OfPage}
(* P2: numbers rise over all lives.                                           *)
NumbersRise == \A i, j \in OfPage : i < j => log[i].psn < log[j].psn
(* A restart ends.                                                            *)
Recovers == (phase = "repair") ~> (phase = "up")
=============================================================================
