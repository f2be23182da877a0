------------------------------- MODULE Frames ------------------------------
(* Frames, references with hints, latch versions, loading, eviction and       *)
(* write-back: P5, P6.  Code: aether-buffer (pool, frame, load, clock,        *)
(* translation, guard, write_back), aether-sync (latch).                      *)
(*                                                                            *)
(* A page is two words that carry its number and how often it was changed.    *)
(* Readers are optimistic: they take no latch and use nothing that they have  *)
(* not validated.  A hint may be wrong in any way.                            *)
EXTENDS Naturals, FiniteSets
CONSTANTS NumPages, NumFrames, NumReaders, NumLoaders, ChangesMax, LoadsMax
VARIABLES
  version, held,        \* latch: version, "no" or "exclusive"
  resident, mode,       \* frame -> page or 0; "free" "loading" "hot" "cool" "writing"
  left, right, dirty,   \* its two words; does the file lack something
  table,                \* the translation array: page -> frame or 0
  hint,                 \* what the page's parent believes
  file, copy,           \* page -> changes on disk; frame -> changes in the image being written
  truth,                \* history: page -> changes made
  reader, writer, loader, evictor,
  changes, loads
latch == <<version, held>>
words == <<left, right, dirty>>
frame == <<resident, mode>>
disk == <<file, copy>>
vars == <<latch, words, frame, table, hint, disk, truth, reader, writer, loader, evictor, changes, loads>>
Pages == 1..NumPages
Frames == 1..NumFrames
Readers == 1..NumReaders
Loaders == 1..NumLoaders
Word(p, n) == [page |-> p, changes |-> n]
Idle == [step |-> "idle", page |-> 0, frame |-> 0, version |-> 0, left |-> Word(0, 0), right |-> Word(0, 0)]
Busy(step, p, f) == [Idle EXCEPT !.step = step, !.page = p, !.frame = f]
Init ==
  /\ version = [f \in Frames |-> 0] /\ held = [f \in Frames |-> "no"]
  /\ resident = [f \in Frames |-> 0] /\ mode = [f \in Frames |-> "free"]
  /\ left = [f \in Frames |-> Word(0, 0)] /\ right = [f \in Frames |-> Word(0, 0)] /\ dirty = [f \in Frames |-> FALSE]
  /\ table = [p \in Pages |-> 0] /\ hint = [p \in Pages |-> 1]
  /\ file = [p \in Pages |-> 0] /\ copy = [f \in Frames |-> 0] /\ truth = [p \in Pages |-> 0]
  /\ reader = [r \in Readers |-> Idle] /\ writer = Idle /\ loader = [l \in Loaders |-> Idle] /\ evictor = 0
  /\ changes = 0 /\ loads = 0
Released(f) == held' = [held EXCEPT ![f] = "no"] /\ version' = [version EXCEPT ![f] = @ + 1]
-----------------------------------------------------------------------------
(* A reader: hint, version, page number, words, version again.                *)
others == <<latch, words, frame, table, disk, truth, writer, loader, evictor, changes, loads>>
Is(r, step) == reader[r].step = step
Start(r, p) ==
  /\ Is(r, "idle") /\ reader' = [reader EXCEPT ![r] = Busy("hinted", p, hint[p])]
  /\ UNCHANGED <<others, hint>>
Peek(r) ==
  /\ Is(r, "hinted") /\ held[reader[r].frame] # "exclusive"
  /\ reader' = [reader EXCEPT ![r].step = "peeked", ![r].version = version[reader[r].frame]]
  /\ UNCHANGED <<others, hint>>
Compare(r) ==
  /\ Is(r, "peeked")
  /\ reader' = [reader EXCEPT ![r].step = IF resident[reader[r].frame] = reader[r].page THEN "found" ELSE "astray"]
  /\ UNCHANGED <<others, hint>>
Translate(r) ==                                  \* a wrong hint costs one look, and is repaired
  /\ Is(r, "astray")
  /\ LET f == table[reader[r].page] IN
       IF f = 0 THEN reader' = [reader EXCEPT ![r] = Idle] /\ UNCHANGED hint
       ELSE /\ reader' = [reader EXCEPT ![r] = Busy("hinted", @.page, f)]
            /\ hint' = [hint EXCEPT ![reader[r].page] = f]
  /\ UNCHANGED others
ReadLeft(r) ==
  /\ Is(r, "found") /\ reader' = [reader EXCEPT ![r].step = "half", ![r].left = left[reader[r].frame]]
  /\ UNCHANGED <<others, hint>>
ReadRight(r) ==
  /\ Is(r, "half") /\ reader' = [reader EXCEPT ![r].step = "read", ![r].right = right[reader[r].frame]]
  /\ UNCHANGED <<others, hint>>
Unchanged(r) == held[reader[r].frame] # "exclusive" /\ version[reader[r].frame] = reader[r].version
Validate(r) ==
  /\ Is(r, "read")
  /\ reader' = IF Unchanged(r) THEN [reader EXCEPT ![r].step = "sure"] ELSE [reader EXCEPT ![r] = Idle]
  /\ UNCHANGED <<others, hint>>
Use(r) == Is(r, "sure") /\ reader' = [reader EXCEPT ![r] = Idle] /\ UNCHANGED <<others, hint>>
-----------------------------------------------------------------------------
(* A writer: find the frame, latch it, see that the page is still there.      *)
kept == <<table, hint, disk, reader, loader, evictor, loads>>
Find(p) ==
  /\ writer.step = "idle" /\ changes < ChangesMax /\ table[p] # 0 /\ writer' = Busy("found", p, table[p])
  /\ UNCHANGED <<latch, words, frame, truth, changes, kept>>
Latch ==
  /\ writer.step = "found" /\ held[writer.frame] = "no"
  /\ held' = [held EXCEPT ![writer.frame] = "exclusive"]
  /\ writer' = [writer EXCEPT !.step = "latched"]
  /\ UNCHANGED <<version, words, frame, truth, changes, kept>>
Check ==
  /\ writer.step = "latched"
  /\ IF resident[writer.frame] = writer.page THEN writer' = [writer EXCEPT !.step = "sure"] /\ UNCHANGED held
     ELSE writer' = Idle /\ held' = [held EXCEPT ![writer.frame] = "no"]
  /\ UNCHANGED <<version, words, frame, truth, changes, kept>>
WriteLeft ==
  /\ writer.step = "sure" /\ writer' = [writer EXCEPT !.step = "half"]
  /\ left' = [left EXCEPT ![writer.frame].changes = @ + 1] /\ dirty' = [dirty EXCEPT ![writer.frame] = TRUE]
  /\ changes' = changes + 1
  /\ UNCHANGED <<latch, right, frame, truth, kept>>
WriteRight ==
  /\ writer.step = "half" /\ writer' = [writer EXCEPT !.step = "whole"]
  /\ right' = [right EXCEPT ![writer.frame].changes = @ + 1] /\ truth' = [truth EXCEPT ![writer.page] = @ + 1]
  /\ UNCHANGED <<latch, left, dirty, frame, changes, kept>>
Unlatch ==
  /\ writer.step = "whole" /\ writer' = Idle
  /\ Released(writer.frame)
  /\ UNCHANGED <<words, frame, truth, changes, kept>>
-----------------------------------------------------------------------------
(* A loader: take a free frame, name its page, enter it in the table, read.   *)
still == <<hint, file, copy, truth, reader, writer, evictor, changes>>
Take(l, p, f) ==
  /\ loader[l].step = "idle" /\ loads < LoadsMax /\ table[p] = 0 /\ mode[f] = "free" /\ held[f] = "no"
  /\ held' = [held EXCEPT ![f] = "exclusive"] /\ mode' = [mode EXCEPT ![f] = "loading"]
  /\ resident' = [resident EXCEPT ![f] = p] /\ loads' = loads + 1
  /\ loader' = [loader EXCEPT ![l] = Busy("taken", p, f)]
  /\ UNCHANGED <<version, words, table, still>>
GiveBack(f) == mode' = [mode EXCEPT ![f] = "free"] /\ resident' = [resident EXCEPT ![f] = 0] /\ Released(f)
Enter(l) ==
  /\ loader[l].step = "taken"
  /\ IF table[loader[l].page] = 0
     THEN /\ table' = [table EXCEPT ![loader[l].page] = loader[l].frame]
          /\ loader' = [loader EXCEPT ![l].step = "entered"]
          /\ UNCHANGED <<latch, frame>>
     ELSE GiveBack(loader[l].frame) /\ loader' = [loader EXCEPT ![l] = Idle] /\ UNCHANGED table
  /\ UNCHANGED <<words, loads, still>>
Load(l) ==
  /\ loader[l].step = "entered" /\ loader' = [loader EXCEPT ![l].step = "loaded"]
  /\ LET now == Word(loader[l].page, file[loader[l].page])   f == loader[l].frame
     IN left' = [left EXCEPT ![f] = now] /\ right' = [right EXCEPT ![f] = now] /\ dirty' = [dirty EXCEPT ![f] = FALSE]
  /\ UNCHANGED <<latch, frame, table, loads, still>>
Loaded(l) ==
  /\ loader[l].step = "loaded" /\ loader' = [loader EXCEPT ![l] = Idle]
  /\ mode' = [mode EXCEPT ![loader[l].frame] = "hot"] /\ Released(loader[l].frame)
  /\ UNCHANGED <<words, resident, table, loads, still>>
-----------------------------------------------------------------------------
same == <<hint, truth, reader, writer, loader, changes, loads>>
Cool(f) ==
  /\ mode[f] = "hot" /\ mode' = [mode EXCEPT ![f] = "cool"]
  /\ UNCHANGED <<latch, words, resident, table, disk, evictor, same>>
StartWriting(f) ==                               \* under the shared latch: no writer is in the page
  /\ mode[f] = "cool" /\ held[f] = "no" /\ dirty[f]
  /\ mode' = [mode EXCEPT ![f] = "writing"] /\ copy' = [copy EXCEPT ![f] = left[f].changes]
  /\ dirty' = [dirty EXCEPT ![f] = FALSE]
  /\ UNCHANGED <<latch, left, right, resident, table, file, evictor, same>>
EndWriting(f) ==
  /\ mode[f] = "writing" /\ mode' = [mode EXCEPT ![f] = "cool"]
  /\ file' = [file EXCEPT ![resident[f]] = copy[f]] /\ copy' = [copy EXCEPT ![f] = 0]
  /\ UNCHANGED <<latch, words, resident, table, evictor, same>>
Choose(f) ==
  /\ evictor = 0 /\ mode[f] = "cool" /\ ~dirty[f] /\ evictor' = f
  /\ UNCHANGED <<latch, words, frame, table, disk, same>>
Evict ==
  /\ evictor # 0 /\ held[evictor] = "no" /\ evictor' = 0
  /\ IF mode[evictor] = "cool" /\ ~dirty[evictor]          \* once more, under the latch
     THEN /\ table' = [table EXCEPT ![resident[evictor]] = 0]
          /\ GiveBack(evictor)
     ELSE UNCHANGED <<latch, frame, table>>
  /\ UNCHANGED <<words, disk, same>>
Next ==
  \/ \E r \in Readers : \/ \E p \in Pages : Start(r, p)
                        \/ Peek(r) \/ Compare(r) \/ Translate(r) \/ ReadLeft(r) \/ ReadRight(r) \/ Validate(r) \/ Use(r)
  \/ (\E p \in Pages : Find(p)) \/ Latch \/ Check \/ WriteLeft \/ WriteRight \/ Unlatch
  \/ \E l \in Loaders : (\E p \in Pages, f \in Frames : Take(l, p, f)) \/ Enter(l) \/ Load(l) \/ Loaded(l)
  \/ (\E f \in Frames : Cool(f) \/ StartWriting(f) \/ EndWriting(f) \/ Choose(f)) \/ Evict
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* P6: what was validated is one state of the page that was asked for.        *)
SureIsTrue == \A r \in Readers : LET x == reader[r] IN x.step = "sure" => x.left = x.right /\ x.left.page = x.page
(* ... and it is no older than the page was when the reader began: as long as *)
(* the version stays, it is the state of now.                                 *)
SureIsNow == \A r \in Readers : LET x == reader[r] IN
  x.step = "sure" /\ Unchanged(r) => x.left.changes = truth[x.page]
OneFrame == \A p \in Pages :
  /\ table[p] # 0 => resident[table[p]] = p
  /\ \A f \in Frames : resident[f] = p /\ mode[f] \in {"hot", "cool", "writing"} => table[p] = f
NothingLost == \A p \in Pages : table[p] = 0 => file[p] = truth[p]
CleanIsFiled == \A f \in Frames :
  mode[f] \in {"hot", "cool"} /\ ~dirty[f] /\ held[f] = "no" => file[resident[f]] = truth[resident[f]]
(* The writer is alone with the page that it looked for.                      *)
WriterIsRight == writer.step \in {"sure", "half", "whole"} =>
  held[writer.frame] = "exclusive" /\ resident[writer.frame] = writer.page /\ table[writer.page] = writer.frame
=============================================================================
