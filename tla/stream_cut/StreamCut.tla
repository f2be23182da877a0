----------------------------- MODULE StreamCut -----------------------------
(* Several log streams, pages, transactions, crashes and restarts: L1, L3,    *)
(* L4, L5, P1, P2, T1, T4, R2.  Code: aether-wal (ring, cut, begin, poison),  *)
(* aether-recovery (open, redo), aether-txn (commit, rollback).               *)
(*                                                                            *)
(* An LSN is an index into its stream; the log and its file are one sequence. *)
(* A crash keeps any prefix that holds at least what is on the device.  When  *)
(* the process dies, what stays readable need not be on the device; after a   *)
(* power cut it is.  A row holds the number of its writer, 0 before any.  Two *)
(* rows share a page.  A page write is at once on the device here;            *)
(* WriteBack.tla has its delays.                                              *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumTxns, NumRows,
          ChangesMax,      \* changes of one transaction
          CrashesMax,      \* crashes, also those in the middle of a restart
          WithReads,       \* a change may rest on another row that was read
          WithRollback,    \* transactions may roll back while the store runs
          WithFailedSync   \* a sync may fail
VARIABLES
  log,          \* stream -> records that can be read
  position,     \* stream -> end of what was claimed
  device,       \* stream -> prefix that a power cut keeps; the engine cannot see it
  durable,      \* stream -> prefix that the engine takes for durable
  slv,          \* stream -> accumulated vector
  poisoned,     \* streams whose sync failed
  incarnations, \* the control file: [cut, start] of each incarnation that ended
  row, psn, pageLv,     \* memory: writer of a row, number and vector of a page
  fileRow, filePsn,     \* the page file
  state, undo,          \* transaction: its state; its changes, newest last
  readLv, commitLv,     \* what it has read; its commit's vector
  rests, changed,       \* history: whose commits it rests on, rows it changed
  order, acked, winners,\* history: commits in order, answered ones, ones recovered
  phase, crashes
memory == <<row, psn, pageLv>>
file   == <<fileRow, filePsn>>
history == <<rests, changed, order, acked, winners>>
vars == <<log, position, device, durable, slv, poisoned, incarnations, memory, file, state, undo, readLv, commitLv, history, phase, crashes>>

Streams == 1..NumStreams
Txns == 1..NumTxns
Rows == 1..NumRows
PageOf(r) == (r + 1) \div 2
Pages == 1..PageOf(NumRows)
Home(t) == ((t - 1) % NumStreams) + 1          \* a transaction belongs to one stream
Zero == [s \in Streams |-> 0]
Join(a, b) == [s \in Streams |-> IF a[s] > b[s] THEN a[s] ELSE b[s]]
Covers(a, b) == \A s \in Streams : b[s] <= a[s]
Ends == [s \in Streams |-> Len(log[s])]

Init ==
  /\ log = [s \in Streams |-> <<>>] /\ slv = [s \in Streams |-> Zero]
  /\ position = Zero /\ device = Zero /\ durable = Zero
  /\ poisoned = {} /\ incarnations = <<>>
  /\ row = [r \in Rows |-> 0] /\ psn = [p \in Pages |-> 0] /\ pageLv = [p \in Pages |-> Zero]
  /\ fileRow = [r \in Rows |-> 0] /\ filePsn = [p \in Pages |-> 0]
  /\ state = [t \in Txns |-> "new"] /\ undo = [t \in Txns |-> <<>>]
  /\ readLv = [t \in Txns |-> Zero] /\ commitLv = [t \in Txns |-> Zero]
  /\ rests = [t \in Txns |-> {}] /\ changed = [t \in Txns |-> {}]
  /\ order = <<>> /\ acked = {} /\ winners = {} /\ phase = "open" /\ crashes = 0
-----------------------------------------------------------------------------
(* Claiming a place and joining the vector are one step: a record's vector is *)
(* all that its stream has accumulated at its end.                            *)
VectorOf(s, needs) == Join(slv[s], [needs EXCEPT ![s] = position[s] + 1])
Claim(s, needs, kind, t, r, before, n) ==
  /\ LET rec == [kind |-> kind, txn |-> t, row |-> r, before |-> before, psn |-> n, lv |-> VectorOf(s, needs)]
     IN log' = [log EXCEPT ![s] = SubSeq(@, 1, position[s]) \o <<rec>> \o SubSeq(@, position[s] + 2, Len(@))]
  /\ position' = [position EXCEPT ![s] = @ + 1]
  /\ slv' = [slv EXCEPT ![s] = VectorOf(s, needs)]
Losers == {t \in Txns : state[t] = "loser"}
Healthy == phase = "open" /\ poisoned = {}
Running == Healthy /\ Losers = {}                       \* undo ends before work begins
CommitLv(t) == IF t = 0 THEN Zero ELSE commitLv[t]
Released(t) == IF t = 0 THEN TRUE ELSE state[t] \in {"committed", "recovered"}   \* its commit record is claimed
log_only == <<device, durable, poisoned, incarnations, file, phase, crashes>>

(* t changes row r, having read the rows Q.                                   *)
Change(t, r, Q) ==
  /\ Running /\ state[t] \in {"new", "active"} /\ Len(undo[t]) < ChangesMax
  /\ \A q \in Q \cup {r} : row[q] # t /\ Released(row[q])
  /\ LET p == PageOf(r)
         needs == Join(pageLv[p], CommitLv(row[r]))     \* T4: also of the replaced version
         read == [s \in Streams |-> LET all == {CommitLv(row[q])[s] : q \in Q} \cup {0}
                                    IN CHOOSE m \in all : \A x \in all : x <= m]
     IN /\ Claim(Home(t), needs, "change", t, r, row[r], psn[p] + 1)
        /\ pageLv' = [pageLv EXCEPT ![p] = VectorOf(Home(t), needs)]
        /\ psn' = [psn EXCEPT ![p] = @ + 1]
        /\ readLv' = [readLv EXCEPT ![t] = Join(@, read)]
  /\ row' = [row EXCEPT ![r] = t] /\ undo' = [undo EXCEPT ![t] = Append(@, [row |-> r, before |-> row[r]])]
  /\ state' = [state EXCEPT ![t] = "active"] /\ changed' = [changed EXCEPT ![t] = @ \cup {r}]
  /\ rests' = [rests EXCEPT ![t] = (@ \cup {row[q] : q \in Q \cup {r}}) \ {0}]
  /\ UNCHANGED <<commitLv, order, acked, winners, log_only>>
Commit(t) ==
  /\ Running /\ state[t] = "active"
  /\ Claim(Home(t), readLv[t], "commit", t, 0, 0, 0)
  /\ commitLv' = [commitLv EXCEPT ![t] = VectorOf(Home(t), readLv[t])]
  /\ state' = [state EXCEPT ![t] = "committed"] /\ order' = Append(order, t)
  /\ UNCHANGED <<memory, undo, readLv, rests, changed, acked, winners, log_only>>
RollBack(t) ==
  /\ WithRollback /\ Running /\ state[t] = "active" /\ state' = [state EXCEPT ![t] = "rolling"]
  /\ UNCHANGED <<log, position, slv, memory, undo, readLv, commitLv, history, log_only>>
(* One compensation, for the newest change left, in stream s.                 *)
Compensate(t, s) ==
  /\ Healthy /\ state[t] \in {"loser", "rolling"} /\ s = Home(t)
  /\ LET last == undo[t][Len(undo[t])]   p == PageOf(last.row)
         after == IF row[last.row] = t THEN last.before ELSE row[last.row]
     IN /\ Claim(s, pageLv[p], "undo", t, last.row, after, psn[p] + 1)
        /\ pageLv' = [pageLv EXCEPT ![p] = VectorOf(s, pageLv[p])]
        /\ psn' = [psn EXCEPT ![p] = @ + 1] /\ row' = [row EXCEPT ![last.row] = after]
  /\ undo' = [undo EXCEPT ![t] = SubSeq(@, 1, Len(@) - 1)]
  /\ state' = [state EXCEPT ![t] = IF Len(undo[t]) = 1 THEN "undone" ELSE @]
  /\ UNCHANGED <<readLv, commitLv, history, log_only>>

txns == <<state, undo, readLv, commitLv>>
Ack(t) ==                                                                 \* L4
  /\ phase = "open" /\ state[t] = "committed" /\ t \notin acked
  /\ Covers(durable, commitLv[t]) /\ acked' = acked \cup {t}
  /\ UNCHANGED <<log, position, slv, memory, txns, rests, changed, order, winners, log_only>>
(* What is claimed while a flush is under way is not in it; for the model it  *)
(* is claimed later.                                                          *)
FlushTo(s, end) ==
  /\ Healthy /\ durable[s] < end /\ end <= position[s] /\ durable' = [durable EXCEPT ![s] = end]
  /\ device' = IF s \in poisoned THEN device ELSE [device EXCEPT ![s] = end]
  /\ UNCHANGED <<log, position, slv, poisoned, incarnations, memory, file, txns, history, phase, crashes>>
Flush(s) == FlushTo(s, position[s])
FailSync(s) ==                                                            \* R2
  /\ WithFailedSync /\ Healthy /\ poisoned' = {s}
  /\ UNCHANGED <<log, position, device, durable, slv, incarnations, memory, file, txns, history, phase, crashes>>
WritePage(p) ==                                                           \* P1
  /\ phase = "open" /\ filePsn[p] # psn[p] /\ Covers(durable, pageLv[p])
  /\ filePsn' = [filePsn EXCEPT ![p] = psn[p]]
  /\ fileRow' = [r \in Rows |-> IF PageOf(r) = p THEN row[r] ELSE fileRow[r]]
  /\ UNCHANGED <<log, position, device, durable, slv, poisoned, incarnations, memory, txns, history, phase, crashes>>

(* What was in memory is gone; it is set to what it is after a restart, so    *)
(* that equal disks are equal states.                                         *)
Forget ==
  /\ row' = fileRow /\ psn' = filePsn /\ pageLv' = [p \in Pages |-> Zero]
  /\ slv' = [s \in Streams |-> Zero] /\ durable' = Zero
  /\ undo' = [t \in Txns |-> <<>>] /\ readLv' = [t \in Txns |-> Zero] /\ commitLv' = [t \in Txns |-> Zero]
  /\ UNCHANGED <<incarnations, file, state, history>>
Longest == CHOOSE m \in {Len(log[s]) : s \in Streams} : \A s \in Streams : Len(log[s]) <= m
LostTo(power, kept) ==
  /\ crashes < CrashesMax /\ crashes' = crashes + 1 /\ phase' = "down"
  /\ \A s \in Streams : device[s] <= kept[s] /\ kept[s] <= Len(log[s])
  /\ log' = [s \in Streams |-> SubSeq(log[s], 1, kept[s])]
  /\ position' = kept /\ device' = IF power THEN kept ELSE device
  /\ poisoned' = IF power THEN {} ELSE poisoned
  /\ Forget
Lost(power) == \E kept \in [Streams -> 0..Longest] : LostTo(power, kept)
Die == phase = "open" /\ Lost(FALSE)
PowerCut == (phase = "open" \/ device # Ends) /\ Lost(TRUE)     \* also in the middle of a restart
-----------------------------------------------------------------------------
(* Restart.  Above the newest incarnation's start the cut is sought; below,   *)
(* the control file says what is void.                                        *)
Count == Len(incarnations)
Start == IF Count = 0 THEN Zero ELSE incarnations[Count].start
RECURSIVE Met(_, _, _), Largest(_)
Met(s, i, cut) == IF i < cut[s] /\ Covers(cut, log[s][i + 1].lv) THEN Met(s, i + 1, cut) ELSE i
Largest(cut) == LET next == [s \in Streams |-> Met(s, Start[s], cut)] IN IF next = cut THEN cut ELSE Largest(next)
Cut == Largest(Ends)                                                      \* L5
IsVoid(s, i) == \E k \in 1..Count : incarnations[k].cut[s] < i /\ i <= incarnations[k].start[s]
Kept(cut) == {log[x[1]][x[2]] : x \in {y \in Streams \X (1..Longest) : y[2] <= cut[y[1]] /\ ~IsVoid(y[1], y[2])}}
Committed(kept) == {e.txn : e \in {x \in kept : x.kind = "commit"}}
OfPage(kept, p) == {e \in kept : e.kind # "commit" /\ PageOf(e.row) = p}
RECURSIVE Redo(_, _, _)
Redo(changes, n, rows) ==                                                 \* P2: exactly the next number
  LET next == {e \in changes : e.psn = n + 1} IN
  IF next = {} THEN [psn |-> n, rows |-> rows]
  ELSE LET e == CHOOSE e \in next : TRUE
       IN Redo(changes, n + 1, [rows EXCEPT ![e.row] = IF e.kind = "change" THEN e.txn ELSE e.before])
(* Changes of t less one for each compensation; all stand in one stream.      *)
LeftOf(kept, cut, t) ==
  LET own == SelectSeq([i \in 1..cut[Home(t)] |-> log[Home(t)][i]], LAMBDA e : e \in kept /\ e.txn = t /\ e.kind = "change")
      undone == Cardinality({e \in kept : e.txn = t /\ e.kind = "undo"})
  IN [i \in 1..(Len(own) - undone) |-> [row |-> own[i].row, before |-> own[i].before]]
(* A restart writes anew what it keeps of a stream, and what lies above is    *)
(* gone.  One that is cut short may have come so far in some streams.         *)
CutBack(s) ==
  /\ phase = "down" /\ Cut[s] < Len(log[s])
  /\ log' = [log EXCEPT ![s] = SubSeq(@, 1, Cut[s])]
  /\ position' = [position EXCEPT ![s] = Cut[s]] /\ device' = [device EXCEPT ![s] = Cut[s]]
  /\ UNCHANGED <<durable, slv, poisoned, incarnations, memory, file, txns, history, phase, crashes>>
(* Scan, cut, rewrite, control file: only then pages may be written (L1).     *)
Open ==
  /\ phase = "down" /\ phase' = "open" /\ poisoned' = {}
  /\ LET cut == Cut   kept == Kept(cut)   start == Ends
         redone == [p \in Pages |-> Redo(OfPage(kept, p), filePsn[p], fileRow)]
         left == [t \in Txns |-> IF t \in Committed(kept) THEN <<>> ELSE LeftOf(kept, cut, t)]
     IN /\ incarnations' = Append(incarnations, [cut |-> cut, start |-> start])
        /\ position' = start /\ durable' = start /\ slv' = [s \in Streams |-> start]
        /\ device' = start                                                \* what is kept was rewritten
        /\ row' = [r \in Rows |-> redone[PageOf(r)].rows[r]] /\ psn' = [p \in Pages |-> redone[p].psn]
        /\ undo' = left /\ winners' = winners \cup Committed(kept)
        /\ state' = [t \in Txns |-> IF t \in Committed(kept) THEN "recovered" ELSE IF left[t] # <<>> THEN "loser"
                                    ELSE IF state[t] = "new" THEN "new" ELSE "undone"]
  /\ UNCHANGED <<log, pageLv, file, readLv, commitLv, rests, changed, order, acked, crashes>>
Next ==
  \/ \E t \in Txns, r \in Rows : Change(t, r, {}) \/ (WithReads /\ \E q \in Rows \ {r} : Change(t, r, {q}))
  \/ \E t \in Txns : Commit(t) \/ Ack(t) \/ RollBack(t) \/ \E s \in Streams : Compensate(t, s)
  \/ \E s \in Streams : Flush(s) \/ FailSync(s) \/ CutBack(s)
  \/ \E p \in Pages : WritePage(p)
  \/ Die \/ PowerCut \/ Open
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* T1: what was answered lies inside the cut, and so does what it rests on.   *)
AckedSurvive == phase = "down" => acked \subseteq Committed(Kept(Cut))
ClosedUnderDependency == phase = "down" =>
  LET won == Committed(Kept(Cut)) IN \A t \in won : rests[t] \subseteq won
(* L5, P1: below the cut no page has a hole, and no page is ahead of the log. *)
NoHole == phase = "down" => LET kept == Kept(Cut) IN \A p \in Pages :
  LET count == Cardinality(OfPage(kept, p))
  IN {e.psn : e \in OfPage(kept, p)} = 1..count /\ filePsn[p] <= count
(* The page file shows a prefix of what the log says.                         *)
FileIsPrefix == phase = "down" => LET kept == Kept(Cut) IN \A p \in Pages :
  LET told == Redo({e \in OfPage(kept, p) : e.psn <= filePsn[p]}, 0, [r \in Rows |-> 0])
  IN told.psn = filePsn[p] /\ \A r \in Rows : PageOf(r) = p => fileRow[r] = told.rows[r]
(* A restart decides for ever.                                                *)
DecidedForEver == phase = "down" => LET won == Committed(Kept(Cut)) IN
  winners \subseteq won /\ \A t \in won : state[t] \in {"committed", "recovered"}
(* L1: where the newest incarnation starts, everything is on the device.     *)
StartIsOnDevice == Covers(device, Start)
(* T4: no row has two losers.                                                 *)
OneLoser == \A t, u \in Losers : t # u =>
  {undo[t][i].row : i \in DOMAIN undo[t]} \cap {undo[u][i].row : i \in DOMAIN undo[u]} = {}
RECURSIVE LastWriter(_, _)
LastWriter(r, i) == IF i = 0 THEN 0
  ELSE IF state[order[i]] \in {"committed", "recovered"} /\ r \in changed[order[i]] THEN order[i] ELSE LastWriter(r, i - 1)
(* A row shows the last commit of it, or who is at work on it.                *)
RowsAreCommitted == phase = "open" /\ Losers = {} =>
  \A r \in Rows : row[r] = LastWriter(r, Len(order)) \/ (row[r] # 0 /\ state[row[r]] \in {"active", "rolling"})
=============================================================================
