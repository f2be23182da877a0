------------------------------- MODULE Frames ------------------------------
(* Frames, references with hints, latch versions, loading, eviction and       *)
(* write-back: P5, P6.  Code: aether-buffer (pool, frame, load, clock,        *)
(* translation, guard, write_back), aether-sync (latch).                      *)
(*                                                                            *)
(* A page is two words that carry its number and how often it was changed.    *)
(* Readers are optimistic: they take no latch and use nothing that they have  *)
(* not validated.  A hint may be wrong in any way.                            *)
EXTENDS Naturals, FiniteSets
CONSTANTS NumPages, NumFrames, NumReaders, NumWriters, NumLoaders, NumEvictors, ChangesMax, LoadsMax
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
Writers == 1..NumWriters
Loaders == 1..NumLoaders
Evictors == 1..NumEvictors
Word(p, n) == [page |-> p, changes |-> n]
Idle == [step |-> "idle", page |-> 0, frame |-> 0, version |-> 0, left |-> Word(0, 0), right |-> Word(0, 0)]
Busy(step, p, f) == [Idle EXCEPT !.step = step, !.page = p, !.frame = f]
Init ==
  /\ version = [f \in Frames |-> 0] /\ held = [f \in Frames |-> "no"]
  /\ resident = [f \in Frames |-> 0] /\ mode = [f \in Frames |-> "free"]
  /\ left = [f \in Frames |-> Word(0, 0)] /\ right = [f \in Frames |-> Word(0, 0)] /\ dirty = [f \in Frames |-> FALSE]
  /\ table = [p \in Pages |-> 0] /\ hint = [p \in Pages |-> 1]
  /\ file = [p \in Pages |-> 0] /\ copy = [f \in Frames |-> 0] /\ truth = [p \in Pages |-> 0]
  /\ reader = [r \in Readers |-> Idle] /\ writer = [w \in Writers |-> Idle]
  /\ loader = [l \in Loaders |-> Idle] /\ evictor = [e \in Evictors |-> Idle]
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
Stray(r) ==                                      \* no hint, or one that leads to a latched frame
  /\ Is(r, "hinted") /\ reader' = [reader EXCEPT ![r].step = "astray"]
  /\ UNCHANGED <<others, hint>>
Compare(r) ==
  /\ Is(r, "peeked")
  /\ reader' = [reader EXCEPT ![r].step = IF resident[reader[r].frame] = reader[r].page THEN "found" ELSE "astray"]
  /\ UNCHANGED <<others, hint>>
Translate(r) ==                                  \* a wrong hint costs one look; an absent page is loaded first
  /\ Is(r, "astray")
  /\ LET p == reader[r].page IN reader' = [reader EXCEPT ![r] = IF table[p] = 0 THEN @ ELSE Busy("hinted", p, table[p])]
  /\ UNCHANGED <<others, hint>>
Repair(r) ==
  /\ Is(r, "found") /\ hint' = [hint EXCEPT ![reader[r].page] = reader[r].frame]
  /\ UNCHANGED <<others, reader>>
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
At(w, step) == writer[w].step = step
Find(w, p) ==
  /\ At(w, "idle") /\ changes < ChangesMax /\ table[p] # 0 /\ writer' = [writer EXCEPT ![w] = Busy("found", p, table[p])]
  /\ UNCHANGED <<latch, words, frame, truth, changes, kept>>
Latch(w) ==
  /\ At(w, "found") /\ held[writer[w].frame] = "no"
  /\ held' = [held EXCEPT ![writer[w].frame] = "exclusive"]
  /\ writer' = [writer EXCEPT ![w].step = "latched"]
  /\ UNCHANGED <<version, words, frame, truth, changes, kept>>
Check(w) ==
  /\ At(w, "latched")
  /\ IF resident[writer[w].frame] = writer[w].page THEN writer' = [writer EXCEPT ![w].step = "sure"] /\ UNCHANGED held
     ELSE writer' = [writer EXCEPT ![w] = Idle] /\ held' = [held EXCEPT ![writer[w].frame] = "no"]
  /\ UNCHANGED <<version, words, frame, truth, changes, kept>>
WriteLeft(w) ==
  /\ At(w, "sure") /\ writer' = [writer EXCEPT ![w].step = "half"]
  /\ left' = [left EXCEPT ![writer[w].frame].changes = @ + 1] /\ dirty' = [dirty EXCEPT ![writer[w].frame] = TRUE]
  /\ changes' = changes + 1
  /\ UNCHANGED <<latch, right, frame, truth, kept>>
WriteRight(w) ==
  /\ At(w, "half") /\ writer' = [writer EXCEPT ![w].step = "whole"]
  /\ right' = [right EXCEPT ![writer[w].frame].changes = @ + 1] /\ truth' = [truth EXCEPT ![writer[w].page] = @ + 1]
  /\ UNCHANGED <<latch, left, dirty, frame, changes, kept>>
Unlatch(w) ==
  /\ At(w, "whole") /\ writer' = [writer EXCEPT ![w] = Idle]
  /\ Released(writer[w].frame)
  /\ UNCHANGED <<words, frame, truth, changes, kept>>
-----------------------------------------------------------------------------
(* A loader: take a free frame, name its page, enter it in the table unless   *)
(* somebody was faster, read.                                                 *)
still == <<hint, file, copy, truth, reader, writer, evictor, changes>>
Take(l, p, f) ==
  /\ loader[l].step = "idle" /\ loads < LoadsMax /\ mode[f] = "free" /\ held[f] = "no"
  /\ held' = [held EXCEPT ![f] = "exclusive"] /\ mode' = [mode EXCEPT ![f] = "loading"]
  /\ resident' = [resident EXCEPT ![f] = p] /\ loads' = loads + 1
  /\ loader' = [loader EXCEPT ![l] = Busy("taken", p, f)]
  /\ UNCHANGED <<version, words, table, still>>
GiveBack(f) == mode' = [mode EXCEPT ![f] = "free"] /\ resident' = [resident EXCEPT ![f] = 0] /\ Released(f)
Enter(l) ==
  /\ loader[l].step = "taken" /\ table[loader[l].page] = 0
  /\ table' = [table EXCEPT ![loader[l].page] = loader[l].frame] /\ loader' = [loader EXCEPT ![l].step = "entered"]
  /\ UNCHANGED <<latch, frame, words, loads, still>>
GiveUp(l) ==                                     \* the entry is another; its page may be gone again
  /\ loader[l].step = "taken" /\ GiveBack(loader[l].frame) /\ loader' = [loader EXCEPT ![l] = Idle]
  /\ UNCHANGED <<table, words, loads, still>>
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
(* The clock cools and evicts, whoever uses a page heats it; write-back.      *)
same == <<hint, truth, reader, writer, loader, changes, loads>>
Cool(f) ==
  /\ mode[f] = "hot" /\ mode' = [mode EXCEPT ![f] = "cool"]
  /\ UNCHANGED <<latch, words, resident, table, disk, evictor, same>>
Touch(f) ==
  /\ mode[f] = "cool" /\ mode' = [mode EXCEPT ![f] = "hot"]
  /\ UNCHANGED <<latch, words, resident, table, disk, evictor, same>>
StartWriting(f) ==                               \* under the shared latch: no writer is in the page
  /\ mode[f] \in {"hot", "cool"} /\ held[f] = "no" /\ dirty[f]
  /\ mode' = [mode EXCEPT ![f] = "writing"] /\ copy' = [copy EXCEPT ![f] = right[f].changes]
  /\ dirty' = [dirty EXCEPT ![f] = FALSE]
  /\ UNCHANGED <<latch, left, right, resident, table, file, evictor, same>>
EndWriting(f) ==
  /\ mode[f] = "writing" /\ mode' = [mode EXCEPT ![f] = "cool"]
  /\ file' = [file EXCEPT ![resident[f]] = copy[f]] /\ copy' = [copy EXCEPT ![f] = 0]
  /\ UNCHANGED <<latch, words, resident, table, evictor, same>>
Seize(e, f) ==                                   \* whatever the frame was when it was chosen
  /\ evictor[e].step = "idle" /\ held[f] = "no" /\ held' = [held EXCEPT ![f] = "exclusive"]
  /\ evictor' = [evictor EXCEPT ![e] = Busy("seized", 0, f)]
  /\ UNCHANGED <<version, words, frame, table, disk, same>>
Evictable(f) == mode[f] = "cool" /\ ~dirty[f]
Spare(e) ==                                      \* it was none when it was looked at
  /\ evictor[e].step = "seized" /\ evictor' = [evictor EXCEPT ![e] = Idle]
  /\ held' = [held EXCEPT ![evictor[e].frame] = "no"]
  /\ UNCHANGED <<version, words, frame, table, disk, same>>
Evict(e) ==
  /\ evictor[e].step = "seized" /\ Evictable(evictor[e].frame) /\ evictor' = [evictor EXCEPT ![e].step = "gone"]
  /\ mode' = [mode EXCEPT ![evictor[e].frame] = "loading"] /\ table' = [table EXCEPT ![resident[evictor[e].frame]] = 0]
  /\ UNCHANGED <<latch, words, resident, disk, same>>
Free(e) ==
  /\ evictor[e].step = "gone" /\ GiveBack(evictor[e].frame) /\ evictor' = [evictor EXCEPT ![e] = Idle]
  /\ UNCHANGED <<words, table, disk, same>>
Next ==
  \/ \E r \in Readers : \/ \E p \in Pages : Start(r, p)
                        \/ Peek(r) \/ Stray(r) \/ Compare(r) \/ Translate(r) \/ Repair(r)
                        \/ ReadLeft(r) \/ ReadRight(r) \/ Validate(r) \/ Use(r)
  \/ \E w \in Writers : \/ \E p \in Pages : Find(w, p)
                        \/ Latch(w) \/ Check(w) \/ WriteLeft(w) \/ WriteRight(w) \/ Unlatch(w)
  \/ \E l \in Loaders : \/ \E p \in Pages, f \in Frames : Take(l, p, f)
                        \/ Enter(l) \/ GiveUp(l) \/ Load(l) \/ Loaded(l)
  \/ \E f \in Frames : Cool(f) \/ Touch(f) \/ StartWriting(f) \/ EndWriting(f)
  \/ \E e \in Evictors : (\E f \in Frames : Seize(e, f)) \/ Spare(e) \/ Evict(e) \/ Free(e)
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
WriterIsRight == \A w \in Writers : LET x == writer[w] IN
  x.step \in {"sure", "half", "whole"} => held[x.frame] = "exclusive" /\ resident[x.frame] = x.page /\ table[x.page] = x.frame
=============================================================================
