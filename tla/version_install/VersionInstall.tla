--------------------------- MODULE VersionInstall ---------------------------
(* The level list of an LSM tree: versions installed by compare-and-set, read *)
(* out of slots, and the files of runs deleted with the last reference.       *)
(* Code: aether-lsm (version).                                                *)
(*                                                                            *)
(* A run is the set of the flushes in it, a version the set of its runs.  A   *)
(* word names the newest version's number and slot.  Threads install edits:   *)
(* a flush adds a run, a merge puts one in the place of two; and they read.   *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumThreads, NumSlots, FlushesMax, EditsMax,
          NumFirst       \* flushes whose runs are there from the beginning
VARIABLES
  word, slots, taken, \* [number, slot]; [number, runs] of each slot; slots in use
  list,               \* history: the versions by number, from 0
  flushes,            \* flushes begun
  pc, seen, base,     \* thread: how far it is, the word it loaded, the version it has
  edit, made, own,    \* its edit [gone, come], the version that it prepared, its slot
  doomed, deleted     \* runs whose files may go; files that are gone
cell == <<word, slots, taken, list>>
thread == <<pc, seen, base, edit, made, own>>
vars == <<cell, flushes, thread, doomed, deleted>>
Threads_ == 1..NumThreads
Slots == 1..NumSlots
Empty_ == [number |-> 99, runs |-> {}]
First == {{f} : f \in 1..NumFirst}
NoEdit == [gone |-> {}, come |-> {}]
Init ==
  /\ word = [number |-> 0, slot |-> 1]
  /\ slots = [s \in Slots |-> IF s = 1 THEN [number |-> 0, runs |-> First] ELSE Empty_]
  /\ taken = {1} /\ list = <<First>> /\ flushes = NumFirst
  /\ pc = [t \in Threads_ |-> "idle"] /\ seen = [t \in Threads_ |-> word] /\ base = [t \in Threads_ |-> Empty_]
  /\ edit = [t \in Threads_ |-> NoEdit] /\ made = [t \in Threads_ |-> {}] /\ own = [t \in Threads_ |-> 1]
  /\ doomed = {} /\ deleted = {}
Newest == list[Len(list)]
Goes(t, to) == pc' = [pc EXCEPT ![t] = to]
-----------------------------------------------------------------------------
(* What a thread wants to change.  A merge may have been planned for a while. *)
PlanFlush(t) ==
  /\ pc[t] = "idle" /\ edit[t] = NoEdit /\ flushes < FlushesMax
  /\ flushes' = flushes + 1 /\ edit' = [edit EXCEPT ![t] = [gone |-> {}, come |-> {{flushes + 1}}]]
  /\ UNCHANGED <<cell, pc, seen, base, made, own, doomed, deleted>>
PlanMerge(t, a, b) ==
  /\ pc[t] = "idle" /\ edit[t] = NoEdit /\ a # b
  /\ \E n \in DOMAIN list : {a, b} \subseteq list[n]
  /\ edit' = [edit EXCEPT ![t] = [gone |-> {a, b}, come |-> {a \cup b}]]
  /\ UNCHANGED <<cell, flushes, pc, seen, base, made, own, doomed, deleted>>
Runs == UNION {list[n] : n \in DOMAIN list}
(* The newest version: the word, then the slot, if that still has what the    *)
(* word says.                                                                 *)
LoadWord(t) ==
  /\ pc[t] = "idle" /\ seen' = [seen EXCEPT ![t] = word] /\ Goes(t, "word")
  /\ UNCHANGED <<cell, flushes, base, edit, made, own, doomed, deleted>>
IsThere(t) == slots[seen[t].slot].number = seen[t].number
ReadSlot(t, found) ==
  /\ pc[t] = "word"
  /\ found => IsThere(t)
  /\ base' = [base EXCEPT ![t] = IF found THEN slots[seen[t].slot] ELSE Empty_]
  /\ Goes(t, IF found THEN "has" ELSE "idle")
  /\ UNCHANGED <<cell, flushes, seen, edit, made, own, doomed, deleted>>
(* Without an edit it was for reading.                                        *)
LetGo(t) ==
  /\ pc[t] = "has" /\ edit[t] = NoEdit
  /\ base' = [base EXCEPT ![t] = Empty_] /\ Goes(t, "idle")
  /\ UNCHANGED <<cell, flushes, seen, edit, made, own, doomed, deleted>>
-----------------------------------------------------------------------------
Fits(t) == edit[t].gone \subseteq base[t].runs
Prepare(t) ==
  /\ pc[t] = "has" /\ edit[t] # NoEdit /\ Len(list) <= EditsMax
  /\ IF Fits(t)
     THEN Goes(t, "prepared") /\ made' = [made EXCEPT ![t] = (base[t].runs \ edit[t].gone) \cup edit[t].come]
          /\ UNCHANGED <<base, edit>>
     ELSE Goes(t, "idle") /\ base' = [base EXCEPT ![t] = Empty_] /\ edit' = [edit EXCEPT ![t] = NoEdit]
          /\ UNCHANGED made
  /\ UNCHANGED <<cell, flushes, seen, own, doomed, deleted>>
(* The word is looked at again: if it has moved on, so has the base.          *)
Stale(t) ==
  /\ pc[t] = "prepared" /\ word.number # base[t].number
  /\ Goes(t, "idle") /\ base' = [base EXCEPT ![t] = Empty_]
  /\ UNCHANGED <<cell, flushes, seen, edit, made, own, doomed, deleted>>
(* A free slot is taken and filled; readers find no number there that they    *)
(* look for.                                                                  *)
Fill(t, s) ==
  /\ pc[t] = "prepared"
  /\ s \notin taken
  /\ taken' = taken \cup {s} /\ slots' = [slots EXCEPT ![s] = [number |-> base[t].number + 1, runs |-> made[t]]]
  /\ own' = [own EXCEPT ![t] = s] /\ Goes(t, "filled")
  /\ UNCHANGED <<word, list, flushes, seen, base, edit, made, doomed, deleted>>
Install(t, done) ==
  /\ pc[t] = "filled"
  /\ done <=> word.number = base[t].number
  /\ IF done
     THEN word' = [number |-> base[t].number + 1, slot |-> own[t]] /\ list' = Append(list, made[t])
          /\ own' = [own EXCEPT ![t] = word.slot] /\ Goes(t, "installed")
     ELSE UNCHANGED <<word, list, own>> /\ Goes(t, "lost")
  /\ UNCHANGED <<slots, taken, flushes, seen, base, edit, made, doomed, deleted>>
(* The slot before, or the own one of who has lost.                           *)
Empty(t) ==
  /\ pc[t] \in {"installed", "lost"}
  /\ slots' = [slots EXCEPT ![own[t]] = Empty_]
  /\ taken' = taken \ {own[t]}
  /\ base' = [base EXCEPT ![t] = IF pc[t] = "lost" THEN Empty_ ELSE base[t]]
  /\ Goes(t, IF pc[t] = "lost" THEN "idle" ELSE "emptied")
  /\ UNCHANGED <<word, list, flushes, seen, edit, made, own, doomed, deleted>>
(* The runs that are gone are let go, one by one; the base keeps them so long.*)
Doom(t, run) ==
  /\ pc[t] = "emptied" /\ run \in edit[t].gone \ doomed
  /\ doomed' = doomed \cup {run} /\ UNCHANGED <<cell, flushes, thread, deleted>>
Done(t) ==
  /\ pc[t] = "emptied" /\ edit[t].gone \subseteq doomed
  /\ base' = [base EXCEPT ![t] = Empty_] /\ edit' = [edit EXCEPT ![t] = NoEdit] /\ Goes(t, "idle")
  /\ UNCHANGED <<cell, flushes, seen, made, own, doomed, deleted>>
(* Whoever has a reference: slots, threads that have a version or plan with   *)
(* one.                                                                       *)
InUse(run) ==
  \/ \E s \in Slots : run \in slots[s].runs
  \/ \E t \in Threads_ : run \in base[t].runs
Delete(run) ==
  /\ run \in doomed \ deleted
  /\ ~InUse(run)
  /\ deleted' = deleted \cup {run} /\ UNCHANGED <<cell, flushes, thread, doomed>>
Next ==
  \/ \E t \in Threads_ : PlanFlush(t) \/ LoadWord(t) \/ LetGo(t) \/ Prepare(t) \/ Stale(t) \/ Empty(t) \/ Done(t)
  \/ \E t \in Threads_ : \E a, b \in Runs : PlanMerge(t, a, b)
  \/ \E t \in Threads_, found \in BOOLEAN : ReadSlot(t, found) \/ Install(t, found)
  \/ \E t \in Threads_, s \in Slots : Fill(t, s)
  \/ \E t \in Threads_ : \E run \in edit[t].gone : Doom(t, run)
  \/ \E run \in doomed : Delete(run)
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* The word's slot has the newest version, which has each installed flush     *)
(* once.                                                                      *)
NewestIsThere == slots[word.slot] = [number |-> word.number, runs |-> Newest] /\ Len(list) = word.number + 1
NothingTwice == \A a, b \in Newest : a # b => a \cap b = {}
NothingLost == \A n \in 1..(Len(list) - 1) : UNION list[n] \subseteq UNION list[n + 1]
(* Who has a version has one that was installed under its number.             *)
ReadIsInstalled == \A t \in Threads_ : base[t] # Empty_ => base[t].number < Len(list) /\ base[t].runs = list[base[t].number + 1]
(* No file goes that the newest version, or one that somebody reads, has.     *)
NoFileMissing == deleted \cap Newest = {} /\ \A t \in Threads_ : base[t].runs \cap deleted = {}
(* No file that is needed is to go.                                           *)
NoneDoomedThatIsNeeded == doomed \cap Newest = {}
(* At rest, all that merges have taken out is let go, and one slot is in use. *)
AtRest == \A t \in Threads_ : pc[t] = "idle"
NothingKept == AtRest =>
  taken = {word.slot} /\ \A n \in DOMAIN list : list[n] \ Newest \subseteq doomed
=============================================================================
