----------------------------- MODULE WriteBack -----------------------------
(* First-dirty positions, write-back in batches, checkpoints: P1, P5, and of  *)
(* L2, L3, L5, P2 what they rest on.  Code: aether-recovery (mtr, checkpoint),*)
(* aether-buffer (write_back, frame).                                         *)
(*                                                                            *)
(* A page is its PSN.  A crash is no action: the invariant looks, in every    *)
(* state, at every crash possible there: any prefix of each stream at or      *)
(* above the durable one, and of each page the image that was last synced or  *)
(* the one that was written since.                                            *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumMtrs, NumPages,
          RecordsMax,
          WithCommits        \* also records that change no page
VARIABLES
  log, durable, slv,              \* stream -> records; durable prefix; accumulated vector
  psn, pageLv, latch,             \* page in memory
  firstDirty, writing,            \* page -> position per stream, or None
  step, pages, at,                \* mini-transaction: how far it is, its pages, its position
  stage, batch, copy, copyLv,     \* the one batch under way; images copied out, their vectors
  cache, filed, covered,          \* page -> PSN written, PSN synced; pages that the sync covers
  scan, low, left, half, need,    \* the checkpoint being taken
  redoStart                       \* the control file; the log below is gone
mtr == <<step, pages, at>>
memory == <<psn, pageLv, latch>>
dirty == <<firstDirty, writing>>
back == <<stage, batch, copy, copyLv, cache, filed, covered>>
check == <<scan, low, left, half, need, redoStart>>
stream == <<log, durable, slv>>
vars == <<stream, memory, dirty, mtr, back, check>>

Streams == 1..NumStreams
Mtrs == 1..NumMtrs
Pages == 1..NumPages
Home(m) == ((m - 1) % NumStreams) + 1
Inf == 99
Zero == [s \in Streams |-> 0]
None == [s \in Streams |-> Inf]
Join(a, b) == [s \in Streams |-> IF a[s] > b[s] THEN a[s] ELSE b[s]]
Meet(a, b) == [s \in Streams |-> IF a[s] < b[s] THEN a[s] ELSE b[s]]
Covers(a, b) == \A s \in Streams : b[s] <= a[s]
Positions == [s \in Streams |-> Len(log[s]) + 1]         \* what the next claim gets
RECURSIVE JoinOf(_, _)
JoinOf(S, f) == IF S = {} THEN Zero ELSE LET x == CHOOSE x \in S : TRUE IN Join(f[x], JoinOf(S \ {x}, f))
RECURSIVE Records(_)
Records(s) == IF s = 0 THEN 0 ELSE Len(log[s]) + Records(s - 1)
Init ==
  /\ log = [s \in Streams |-> <<>>] /\ durable = Zero /\ slv = [s \in Streams |-> Zero]
  /\ psn = [p \in Pages |-> 0] /\ pageLv = [p \in Pages |-> Zero] /\ latch = [p \in Pages |-> "free"]
  /\ firstDirty = [p \in Pages |-> None] /\ writing = [p \in Pages |-> None]
  /\ step = [m \in Mtrs |-> "idle"] /\ pages = [m \in Mtrs |-> {}] /\ at = [m \in Mtrs |-> 0]
  /\ stage = "idle" /\ batch = {} /\ copy = [p \in Pages |-> 0] /\ copyLv = Zero
  /\ cache = [p \in Pages |-> 0] /\ filed = [p \in Pages |-> 0] /\ covered = {}
  /\ scan = "idle" /\ low = Zero /\ left = {} /\ half = 0 /\ need = Zero /\ redoStart = [s \in Streams |-> 1]
-----------------------------------------------------------------------------
(* A mini-transaction: latch, mark dirty from the position read then, claim,  *)
(* fill and apply and release.                                                *)
Waiting == Cardinality({m \in Mtrs : step[m] \in {"latched", "marked"}})
Latch(m, P) ==
  /\ step[m] = "idle" /\ Records(NumStreams) + Waiting < RecordsMax /\ \A p \in P : latch[p] = "free"
  /\ latch' = [p \in Pages |-> IF p \in P THEN "exclusive" ELSE latch[p]]
  /\ step' = [step EXCEPT ![m] = "latched"] /\ pages' = [pages EXCEPT ![m] = P]
  /\ at' = [at EXCEPT ![m] = Positions[Home(m)]]
  /\ UNCHANGED <<stream, psn, pageLv, dirty, back, check>>
Marked(m, position) == [p \in Pages |->
  IF p \in pages[m] /\ firstDirty[p][Home(m)] = Inf THEN [firstDirty[p] EXCEPT ![Home(m)] = position] ELSE firstDirty[p]]
MarkDirty(m) ==
  /\ step[m] = "latched" /\ step' = [step EXCEPT ![m] = "marked"]
  /\ firstDirty' = Marked(m, at[m])
  /\ UNCHANGED <<stream, memory, writing, pages, at, back, check>>
Claim(m) ==
  /\ step[m] = "marked" /\ step' = [step EXCEPT ![m] = "claimed"]
  /\ LET s == Home(m)   i == Len(log[s]) + 1
         \* a commit may rest on anything before it
         needs == IF pages[m] = {} THEN [x \in Streams |-> Len(log[x])] ELSE JoinOf(pages[m], pageLv)
         lv == Join(slv[s], [needs EXCEPT ![s] = i])
         rec == [pages |-> pages[m], psn |-> [p \in pages[m] |-> psn[p] + 1], lv |-> lv, filled |-> FALSE]
     IN log' = [log EXCEPT ![s] = Append(@, rec)] /\ slv' = [slv EXCEPT ![s] = lv] /\ at' = [at EXCEPT ![m] = i]
  /\ UNCHANGED <<durable, memory, dirty, pages, back, check>>
Apply(m) ==
  /\ step[m] = "claimed" /\ step' = [step EXCEPT ![m] = "idle"]
  /\ log' = [log EXCEPT ![Home(m)][at[m]].filled = TRUE]
  /\ pageLv' = [p \in Pages |-> IF p \in pages[m] THEN log[Home(m)][at[m]].lv ELSE pageLv[p]]
  /\ psn' = [p \in Pages |-> IF p \in pages[m] THEN psn[p] + 1 ELSE psn[p]]
  /\ latch' = [p \in Pages |-> IF p \in pages[m] THEN "free" ELSE latch[p]]
  /\ pages' = [pages EXCEPT ![m] = {}] /\ at' = [at EXCEPT ![m] = 0]
  /\ UNCHANGED <<durable, slv, dirty, back, check>>
RECURSIVE FilledFrom(_, _)
FilledFrom(s, i) == IF i < Len(log[s]) /\ log[s][i + 1].filled THEN FilledFrom(s, i + 1) ELSE i
Filled(s) == FilledFrom(s, 0)
Flush(s, to) ==                                  \* what was filled since the group was closed comes with the next
  /\ durable[s] < to /\ to <= Filled(s) /\ durable' = [durable EXCEPT ![s] = to]
  /\ UNCHANGED <<log, slv, memory, dirty, mtr, back, check>>
-----------------------------------------------------------------------------
(* A batch: for each page under its shared latch set `writing`, then clear    *)
(* first-dirty and copy; wait for the log; write; sync; end `writing`.        *)
StartWriting(p) ==
  /\ stage \in {"idle", "copying"} /\ p \notin batch
  /\ latch[p] = "free" /\ firstDirty[p] # None /\ writing[p] = None
  /\ stage' = "copying" /\ batch' = batch \cup {p} /\ latch' = [latch EXCEPT ![p] = "shared"]
  /\ writing' = [writing EXCEPT ![p] = firstDirty[p]]
  /\ UNCHANGED <<stream, psn, pageLv, firstDirty, mtr, copy, copyLv, cache, filed, covered, check>>
CopyOut(p) ==
  /\ latch[p] = "shared" /\ latch' = [latch EXCEPT ![p] = "free"]
  /\ firstDirty' = [firstDirty EXCEPT ![p] = None]
  /\ copy' = [copy EXCEPT ![p] = psn[p]] /\ copyLv' = Join(copyLv, pageLv[p])
  /\ UNCHANGED <<stream, psn, pageLv, writing, mtr, stage, batch, cache, filed, covered, check>>
LogIsAhead ==                                                             \* P1
  /\ stage = "copying" /\ \A p \in batch : latch[p] # "shared"
  /\ Covers(durable, copyLv)
  /\ stage' = "writing" /\ copyLv' = Zero
  /\ UNCHANGED <<stream, memory, dirty, mtr, batch, copy, cache, filed, covered, check>>
WritePage(p) ==
  /\ stage \in {"writing", "syncing"} /\ copy[p] # 0
  /\ cache' = [cache EXCEPT ![p] = copy[p]] /\ copy' = [copy EXCEPT ![p] = 0]
  /\ UNCHANGED <<stream, memory, dirty, mtr, stage, batch, copyLv, filed, covered, check>>
Unwritten == {p \in batch : copy[p] # 0}
BeginSync ==
  /\ stage = "writing" /\ Unwritten = {} /\ stage' = "syncing" /\ covered' = batch \ Unwritten
  /\ UNCHANGED <<stream, memory, dirty, mtr, batch, copy, copyLv, cache, filed, check>>
EndSync ==
  /\ stage = "syncing" /\ Unwritten = {} /\ stage' = "idle" /\ batch' = {} /\ covered' = {}
  /\ filed' = [p \in Pages |-> IF p \in covered THEN cache[p] ELSE filed[p]]
  /\ writing' = [p \in Pages |-> IF p \in batch THEN None ELSE writing[p]]
  /\ UNCHANGED <<stream, memory, firstDirty, mtr, copy, copyLv, cache, check>>
-----------------------------------------------------------------------------
(* A checkpoint: the claim positions and vectors first, then of each frame    *)
(* first-dirty before `writing`; then it waits for the log.                   *)
ReadPositions ==
  /\ scan = "idle" /\ scan' = "frames" /\ left' = Pages /\ half' = 0
  /\ low' = Positions /\ need' = JoinOf(Streams, slv)
  /\ UNCHANGED <<stream, memory, dirty, mtr, back, redoStart>>
ReadFirstDirty(p) ==
  /\ scan = "frames" /\ half = 0 /\ p \in left /\ (\A q \in left : p <= q) /\ half' = p
  /\ low' = Meet(low, firstDirty[p])
  /\ UNCHANGED <<stream, memory, dirty, mtr, back, scan, left, need, redoStart>>
ReadWriting(p) ==
  /\ scan = "frames" /\ half = p /\ half' = 0 /\ left' = left \ {p}
  /\ low' = Meet(low, writing[p])
  /\ UNCHANGED <<stream, memory, dirty, mtr, back, scan, need, redoStart>>
PublishCheckpoint ==
  /\ scan = "frames" /\ left = {}
  /\ Covers(durable, need)
  /\ scan' = "idle" /\ low' = Zero /\ need' = Zero
  /\ redoStart' = Join(redoStart, Meet(low, Positions))
  /\ UNCHANGED <<stream, memory, dirty, mtr, back, left, half>>
Next ==
  \/ \E m \in Mtrs : MarkDirty(m) \/ Claim(m) \/ Apply(m)
  \/ \E m \in Mtrs, P \in SUBSET Pages : (P # {} \/ WithCommits) /\ Latch(m, P)
  \/ \E s \in Streams, to \in 1..RecordsMax : Flush(s, to)
  \/ \E p \in Pages : StartWriting(p) \/ CopyOut(p) \/ WritePage(p) \/ ReadFirstDirty(p) \/ ReadWriting(p)
  \/ LogIsAhead \/ BeginSync \/ EndSync \/ ReadPositions \/ PublishCheckpoint
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
RECURSIVE Met(_, _, _), Largest(_)
Met(s, i, cut) == IF i < cut[s] /\ Covers(cut, log[s][i + 1].lv) THEN Met(s, i + 1, cut) ELSE i
Largest(cut) == LET next == [s \in Streams |-> Met(s, 0, cut)] IN IF next = cut THEN cut ELSE Largest(next)
Survivors == {kept \in [Streams -> 0..RecordsMax] : \A s \in Streams : durable[s] <= kept[s] /\ kept[s] <= Filled(s)}
PsnsOf(p, cut, from) == {log[x[1]][x[2]].psn[p] : x \in {y \in Streams \X (1..RecordsMax) :
  y[2] <= cut[y[1]] /\ y[2] >= from[y[1]] /\ p \in log[y[1]][y[2]].pages}}
(* Redo starts inside the cut, no page is ahead of it, and every change that  *)
(* a page lacks lies at or after the redo start.                              *)
AnyCrashRecovers == \A kept \in Survivors : LET cut == Largest(kept) IN
  /\ \A s \in Streams : redoStart[s] <= cut[s] + 1
  /\ \A p \in Pages : LET top == Cardinality(PsnsOf(p, cut, Zero)) IN
       \A image \in {filed[p], cache[p]} : image <= top /\ (image + 1)..top \subseteq PsnsOf(p, cut, redoStart)
NeverBack == [][Covers(redoStart', redoStart)]_vars
=============================================================================
