----------------------------- MODULE Checkpoint ----------------------------
(* What a checkpoint says of the transactions at work, and what a restart     *)
(* makes of it once the log below is gone: P5, T4.  Code: aether-recovery     *)
(* (checkpoint, active, mtr, open).                                           *)
(*                                                                            *)
(* A transaction belongs to one stream; its head is the place of its newest   *)
(* change that is not undone, 0 without one.  A record of its stream carries  *)
(* the head after it; its changes lie on a page of its own, its commit on     *)
(* none.  Transactions one after the other on a page are one here.  A crash   *)
(* is no action: the invariants look at every crash possible in a state.      *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumTxns, RecordsMax
VARIABLES
  log, durable,         \* stream -> records [txn, head, page]; durable prefix
  chain,                \* transaction -> places of its changes that are not undone
  latched,              \* transactions in the middle of a step: claimed, head not moved
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
(* Change and compensation are a record, and then the head moves, all under   *)
(* the latch of the page.  A commit is a record, and then the table forgets.  *)
Claim(t, next, page) ==
  /\ t \notin latched /\ Records(NumStreams) < RecordsMax
  /\ log' = [log EXCEPT ![Home(t)] = Append(@, [txn |-> t, head |-> Last(next), page |-> page])]
  /\ chain' = [chain EXCEPT ![t] = next] /\ latched' = latched \cup {t}
  /\ firstDirty' = [firstDirty EXCEPT ![t] = IF @ = None /\ page THEN Len(log[Home(t)]) + 1 ELSE @]
  /\ UNCHANGED <<durable, head, making, control>>
Change(t) == Claim(t, Append(chain[t], Len(log[Home(t)]) + 1), TRUE)
Compensate(t) == chain[t] # <<>> /\ Claim(t, SubSeq(chain[t], 1, Len(chain[t]) - 1), TRUE)
Commit(t) == chain[t] # <<>> /\ Claim(t, <<>>, FALSE)
MoveHead(t) ==
  /\ t \in latched /\ latched' = latched \ {t} /\ head' = [head EXCEPT ![t] = Last(chain[t])]
  /\ UNCHANGED <<log, durable, chain, firstDirty, making, control>>
FlushTo(s, end) ==
  /\ durable[s] < end /\ end <= Len(log[s]) /\ durable' = [durable EXCEPT ![s] = end]
  /\ UNCHANGED <<log, chain, latched, head, firstDirty, making, control>>
Flush(s) == FlushTo(s, Len(log[s]))
(* The page as it was up to a place is written and synced; how that goes is   *)
(* in WriteBack.  It was copied under its latch, and may have changed since.  *)
Of(t) == {i \in DOMAIN log[Home(t)] : log[Home(t)][i].txn = t}
Lowest(S) == IF S = {} THEN None ELSE CHOOSE x \in S : \A y \in S : x <= y
Clean(t, copied) ==
  /\ t \in latched => \E i \in Of(t) : copied < i
  /\ firstDirty[t] <= copied /\ copied <= durable[Home(t)]
  /\ firstDirty' = [firstDirty EXCEPT ![t] = Lowest({i \in Of(t) : copied < i /\ log[Home(t)][i].page})]
  /\ UNCHANGED <<log, durable, chain, latched, head, making, control>>
-----------------------------------------------------------------------------
(* Positions and vectors, then the frames, then the list, one transaction     *)
(* after the other, then the vectors once more: the list may be younger than  *)
(* the positions.                                                             *)
ReadPositions ==
  /\ step = "idle" /\ step' = "frames" /\ start' = Ends /\ need' = Ends
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, list, control>>
DirtyIn(s) == {firstDirty[t] : t \in {u \in Txns : Home(u) = s /\ firstDirty[u] # None}}
Lower(from, place) == IF place - 1 < from THEN place - 1 ELSE from
ReadFrames ==
  /\ step = "frames" /\ step' = "list" /\ start' = [s \in Streams |-> Lower(start[s], Lowest(DirtyIn(s)))]
  /\ list' = [t \in Txns |-> None]
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, need, control>>
(* Who is about to be forgotten is listed; its last record tells that it is   *)
(* over, and must lie above the redo start.                                   *)
Ending(t) == {i \in Of(t) : t \in latched /\ ~log[Home(t)][i].page /\ \A j \in Of(t) : j <= i}
ReadList(t) ==
  /\ step = "list" /\ list[t] = None /\ list' = [list EXCEPT ![t] = head[t]]
  /\ start' = [start EXCEPT ![Home(t)] = Lower(@, Lowest(Ending(t)))]
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, step, need, control>>
ReadVectors ==
  /\ step = "list" /\ (\A t \in Txns : list[t] # None) /\ step' = "wait"
  /\ need' = Join(need, Ends)
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty, start, list, control>>
Install ==
  /\ step = "wait" /\ step' = "idle"
  /\ \A s \in Streams : need[s] <= durable[s]
  /\ redoStart' = Join(redoStart, start) /\ listed' = list
  /\ start' = [s \in Streams |-> 0] /\ need' = start' /\ list' = Nobody
  /\ UNCHANGED <<log, durable, chain, latched, head, firstDirty>>
Next ==
  \/ \E t \in Txns : Change(t) \/ Compensate(t) \/ Commit(t) \/ MoveHead(t) \/ ReadList(t)
  \/ \E t \in Txns : \E copied \in Of(t) : Clean(t, copied)
  \/ \E s \in Streams : Flush(s)
  \/ ReadPositions \/ ReadFrames \/ ReadVectors \/ Install
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* After any crash, what the list and the log above the redo start say is     *)
(* what the whole log would say: no loser is forgotten, none comes back, none *)
(* leads to a change that is not there.                                       *)
RECURSIVE HeadAfter(_, _, _, _)
HeadAfter(t, from, to, otherwise) ==
  IF to <= from THEN otherwise
  ELSE IF log[Home(t)][to].txn = t THEN log[Home(t)][to].head
  ELSE HeadAfter(t, from, to - 1, otherwise)
LosersAreKnown == \A t \in Txns : \A kept \in durable[Home(t)]..Len(log[Home(t)]) :
  HeadAfter(t, redoStart[Home(t)], kept, listed[t]) = HeadAfter(t, 0, kept, 0)
StartIsInside == \A s \in Streams : redoStart[s] <= durable[s]
(* What a page lacks lies above the redo start.                               *)
PagesAreRedone == \A t \in Txns : firstDirty[t] # None => redoStart[Home(t)] < firstDirty[t]
NeverBack == [][\A s \in Streams : redoStart[s] <= redoStart'[s]]_vars
=============================================================================
