----------------------------- MODULE Checkpoint ----------------------------
(* What a checkpoint says of the transactions at work, and what a restart     *)
(* makes of it once the log below is gone: P5, T4.  Code: aether-recovery     *)
(* (checkpoint, active, mtr, open).                                           *)
(*                                                                            *)
(* A transaction belongs to one stream; its head is the place of its newest   *)
(* change that is not undone, 0 without one.  A record of its stream carries  *)
(* the head after it; its changes lie on a page of its own.  A crash is no    *)
(* action: the invariants look at every crash that is possible in a state.    *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumTxns, RecordsMax
VARIABLES
  log, durable,         \* stream -> records [txn, head]; durable prefix
  chain,                \* transaction -> places of its changes that are not undone
  latched,              \* transactions in the middle of a change: claimed, head not moved
  head,                 \* the table of active transactions
  firstDirty,           \* transaction -> first position its page lacks on disk, or None
  step, start, list, need,      \* the checkpoint being taken
  redoStart, listed     \* the control file
making == <<step, start, list, need>>
control == <<redoStart, listed>>
vars == <<log, durable, chain, latched, head, firstDirty, making, control>>
Streams == 1..NumStreams
Txns == 1..NumTxns
Home(t) == ((t - 1) % NumStreams) + 1
None == 99
Nobody == [t \in Txns |-> 0]
Ends == [s \in Streams |-> Len(log[s])]
Join(a, b) == [s \in Streams |-> IF a[s] > b[s] THEN a[s] ELSE b[s]]
Init ==
  /\ log = [s \in Streams |-> <<>>] /\ durable = [s \in Streams |-> 0]
  /\ chain = [t \in Txns |-> <<>>] /\ latched = {} /\ head = Nobody /\ firstDirty = [t \in Txns |-> None]
  /\ step = "idle" /\ start = [s \in Streams |-> 0] /\ list = Nobody /\ need = [s \in Streams |-> 0]
  /\ redoStart = [s \in Streams |-> 0] /\ listed = Nobody
Last(c) == IF c = <<>> THEN 0 ELSE c[Len(c)]
RECURSIVE Records(_)
Records(s) == IF s = 0 THEN 0 ELSE Len(log[s]) + Records(s - 1)
-----------------------------------------------------------------------------
(* Change, compensation and end are a record, and then the head moves, all    *)
(* under the latch of the page.                                               *)
Claim(t, next) ==
  /\ t \notin latched /\ Records(NumStreams) < RecordsMax
  /\ log' = [log EXCEPT ![Home(t)] = Append(@, [txn |-> t, head |-> Last(next)])]
  /\ chain' = [chain EXCEPT ![t] = next] /\ latched' = latched \cup {t}
  /\ firstDirty' = [firstDirty EXCEPT ![t] = IF @ = None THEN Len(log[Home(t)]) + 1 ELSE @]
  /\ UNCHANGED <<durable, head, making, control>>
Change(t) == Claim(t, Append(chain[t], Len(log[Home(t)]) + 1))
Compensate(t) == chain[t] # <<>> /\ Claim(t, SubSeq(chain[t], 1, Len(chain[t]) - 1))
Commit(t) == chain[t] # <<>> /\ Claim(t, <<>>)
MoveHead(t) ==
  /\ t \in latched /\ latched' = latched \ {t} /\ head' = [head EXCEPT ![t] = Last(chain[t])]
  /\ UNCHANGED <<log, durable, chain, firstDirty, making, control>>
Flush(s) ==
  /\ durable[s] < Len(log[s]) /\ durable' = [durable EXCEPT ![s] = Len(log[s])]
  /\ UNCHANGED <<log, chain, latched, head, firstDirty, making, control>>
(* The page is written and synced; how that goes is in WriteBack.             *)
Clean(t) ==
  /\ t \notin latched
  /\ firstDirty[t] # None /\ durable[Home(t)] = Len(log[Home(t)])
  /\ firstDirty' = [firstDirty EXCEPT ![t] = None]
  /\ UNCHANGED <<log, durable, chain, latched, head, making, control>>
-----------------------------------------------------------------------------
(* Positions and vectors, then the frames, then the list, then the vectors    *)
(* once more: the list may be younger than the positions.                     *)
ReadPositions ==
  /\ step = "idle" /\ step' = "frames" /\ start' = Ends /\ need' = Ends
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, list, control>>
DirtyIn(s) == {firstDirty[t] : t \in {u \in Txns : Home(u) = s /\ firstDirty[u] # None}}
Lowest(s) == IF DirtyIn(s) = {} THEN start[s]
             ELSE LET low == CHOOSE x \in DirtyIn(s) : \A y \in DirtyIn(s) : x <= y
                  IN IF low - 1 < start[s] THEN low - 1 ELSE start[s]
ReadFrames ==
  /\ step = "frames" /\ step' = "list" /\ start' = [s \in Streams |-> Lowest(s)]
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, list, need, control>>
ReadList ==
  /\ step = "list" /\ step' = "vectors" /\ list' = head
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, start, need, control>>
ReadVectors ==
  /\ step = "vectors" /\ step' = "wait"
  /\ need' = Join(need, Ends)
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, start, list, control>>
Publish ==
  /\ step = "wait" /\ step' = "idle"
  /\ \A s \in Streams : need[s] <= durable[s]
  /\ redoStart' = Join(redoStart, start) /\ listed' = list
  /\ start' = [s \in Streams |-> 0] /\ need' = start' /\ list' = Nobody
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty>>
Next ==
  \/ \E t \in Txns : Change(t) \/ Compensate(t) \/ Commit(t) \/ MoveHead(t) \/ Clean(t)
  \/ \E s \in Streams : Flush(s)
  \/ ReadPositions \/ ReadFrames \/ ReadList \/ ReadVectors \/ Publish
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
Cuts == {kept \in [Streams -> 0..RecordsMax] : \A s \in Streams : durable[s] <= kept[s] /\ kept[s] <= Len(log[s])}
Of(t, from, to) == {i \in (from + 1)..to : log[Home(t)][i].txn = t}
HeadAfter(t, from, to, otherwise) ==
  LET own == Of(t, from, to)
  IN IF own = {} THEN otherwise ELSE log[Home(t)][CHOOSE i \in own : \A j \in own : j <= i].head
(* After any crash, what the list and the log above the redo start say is     *)
(* what the whole log would say: no loser is forgotten, none comes back, none *)
(* leads to a change that is not there.                                       *)
LosersAreKnown == \A kept \in Cuts, t \in Txns :
  HeadAfter(t, redoStart[Home(t)], kept[Home(t)], listed[t]) = HeadAfter(t, 0, kept[Home(t)], 0)
StartIsInside == \A s \in Streams : redoStart[s] <= durable[s]
(* What a page lacks lies above the redo start.                               *)
PagesAreRedone == \A t \in Txns : firstDirty[t] # None => redoStart[Home(t)] < firstDirty[t]
NeverBack == [][\A s \in Streams : redoStart[s] <= redoStart'[s]]_vars
=============================================================================
