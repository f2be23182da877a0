---------------------------- MODULE Publication ----------------------------
(* How a commit becomes visible, and up to where everything is durable: T2    *)
(* (snapshots), T3, T4 (stripping), L3, L4.  Code: aether-txn (publication,   *)
(* state, snapshot, commit).                                                  *)
(*                                                                            *)
(* Only commit records are in the log.  A crash is no action: what is durable *)
(* stays so, hence an answer is safe if all it rests on is durable when it is *)
(* given.  Writers see the newest commits; readers see durable_ts and never   *)
(* wait.  Writer 0 wrote every row at first.                                  *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumStreams, NumWriters, NumReaders, NumRows
VARIABLES
  clock,        \* the newest timestamp drawn
  durableTs,    \* everything at or below is durable
  queue,        \* pending commits in the order of their bounds
  lock,         \* who holds the queue's lock; 0: nobody
  state,        \* as others see it, and how far the owner has come
  bound, ts, lv,\* of a commit
  floor, snap,  \* of a view: registered bound (None: not registered), timestamp
  deps,         \* vectors of the commits that it rests on
  seen, base,   \* history: version read, version replaced (None: not)
  position, durable, slv,   \* stream -> commits in it, durable ones, accumulated vector
  chain,        \* row -> writers of its versions, newest last; the first is bare
  before,       \* history: commits that were answered when a reader began
  answered
vars == <<clock, durableTs, queue, lock, state, bound, ts, lv, floor, snap, deps, seen, base, position, durable, slv, chain, before, answered>>
Streams == 1..NumStreams
Writers == 1..NumWriters
Readers == (NumWriters + 1)..(NumWriters + NumReaders)
Views == Writers \cup Readers
Rows == 1..NumRows
None == 99
Home(t) == ((t - 1) % NumStreams) + 1
Zero == [s \in Streams |-> 0]
Join(a, b) == [s \in Streams |-> IF a[s] > b[s] THEN a[s] ELSE b[s]]
Covers(a, b) == \A s \in Streams : b[s] <= a[s]
Max(a, b) == IF a > b THEN a ELSE b
Lv(w) == IF w = 0 THEN Zero ELSE lv[w]
Ts(w) == IF w = 0 THEN 0 ELSE ts[w]
State(w) == IF w = 0 THEN "committed" ELSE state[w]
IsDurable(w) == Covers(durable, Lv(w))
Init ==
  /\ clock = 0 /\ durableTs = 0 /\ queue = <<>> /\ lock = 0
  /\ state = [v \in Views |-> "new"] /\ floor = [v \in Views |-> None] /\ snap = [v \in Views |-> 0]
  /\ bound = [t \in Writers |-> 0] /\ ts = [t \in Writers |-> 0] /\ lv = [t \in Writers |-> Zero]
  /\ deps = [v \in Views |-> Zero] /\ seen = [v \in Views |-> [r \in Rows |-> None]]
  /\ base = [t \in Writers |-> [r \in Rows |-> None]]
  /\ position = Zero /\ durable = Zero /\ slv = [s \in Streams |-> Zero]
  /\ chain = [r \in Rows |-> <<0>>] /\ before = [v \in Readers |-> {}] /\ answered = {}
commit == <<clock, queue, lock, bound, ts, lv>>
stream == <<position, durable, slv>>
-----------------------------------------------------------------------------
(* A view: register a lower bound, draw the timestamp, raise the bound.       *)
Register(v) ==
  /\ state[v] = "new" /\ state' = [state EXCEPT ![v] = "registered"]
  /\ floor' = [floor EXCEPT ![v] = durableTs]
  /\ before' = IF v \in Readers THEN [before EXCEPT ![v] = answered] ELSE before
  /\ UNCHANGED <<durableTs, commit, snap, deps, seen, base, stream, chain, answered>>
DrawSnapshot(v) ==
  /\ state[v] = "registered" /\ state' = [state EXCEPT ![v] = "active"]
  /\ snap' = [snap EXCEPT ![v] = IF v \in Readers THEN durableTs ELSE clock]
  /\ floor' = [floor EXCEPT ![v] = snap'[v]]
  /\ UNCHANGED <<durableTs, commit, deps, seen, base, stream, chain, before, answered>>
(* The newest version of r that v sees; None: it waits for an outcome.        *)
Undecided(w, at) == State(w) \in {"committing", "queued", "drawn", "appended"} /\ at > bound[w]
RECURSIVE Visible(_, _, _)
Visible(r, at, i) ==
  LET w == chain[r][i] IN
  IF i = 1 THEN w
  ELSE IF Undecided(w, at) THEN None
  ELSE IF State(w) = "committed" /\ Ts(w) <= at THEN w ELSE Visible(r, at, i - 1)
Needs(v, w) == IF Ts(w) > durableTs THEN Join(deps[v], Lv(w)) ELSE deps[v]
Read(v, r) ==
  /\ state[v] = "active" /\ seen[v][r] = None /\ (v \in Writers => base[v][r] = None)
  /\ LET w == Visible(r, snap[v], Len(chain[r]))
     IN w # None /\ seen' = [seen EXCEPT ![v][r] = w] /\ deps' = [deps EXCEPT ![v] = Needs(v, w)]
  /\ UNCHANGED <<durableTs, commit, state, floor, snap, base, stream, chain, before, answered>>
(* The first updater wins: the newest version must be visible.                *)
Update(t, r) ==
  /\ state[t] = "active" /\ base[t][r] = None
  /\ LET w == chain[r][Len(chain[r])] IN
       /\ IF Len(chain[r]) = 1 THEN TRUE ELSE State(w) = "committed" /\ Ts(w) <= snap[t]
       /\ base' = [base EXCEPT ![t][r] = w] /\ deps' = [deps EXCEPT ![t] = Needs(t, w)]
  /\ chain' = [chain EXCEPT ![r] = Append(@, t)]
  /\ UNCHANGED <<durableTs, commit, state, floor, snap, seen, stream, before, answered>>
Wrote(t) == \E r \in Rows : base[t][r] # None
-----------------------------------------------------------------------------
(* Publication.  Under the queue's lock: read the clock, be seen as           *)
(* committing, join the queue.  Then draw, append, be seen as committed.      *)
rest == <<durableTs, floor, snap, deps, seen, base, chain, before, answered>>
Bound(t) ==
  /\ state[t] = "active" /\ Wrote(t) /\ lock = 0 /\ lock' = t /\ bound' = [bound EXCEPT ![t] = clock]
  /\ UNCHANGED <<clock, queue, ts, lv, state, stream, rest>>
Committing(t) ==
  /\ lock = t /\ state[t] = "active" /\ state' = [state EXCEPT ![t] = "committing"]
  /\ UNCHANGED <<commit, stream, rest>>
Enqueue(t) ==
  /\ state[t] = "committing" /\ lock' = 0 /\ queue' = Append(queue, t)
  /\ state' = [state EXCEPT ![t] = "queued"]
  /\ UNCHANGED <<clock, bound, ts, lv, stream, rest>>
Draw(t) ==
  /\ state[t] = "queued" /\ state' = [state EXCEPT ![t] = "drawn"]
  /\ clock' = clock + 1 /\ ts' = [ts EXCEPT ![t] = clock + 1]
  /\ UNCHANGED <<queue, lock, bound, lv, stream, rest>>
AppendCommit(t) ==
  /\ state[t] = "drawn" /\ state' = [state EXCEPT ![t] = "appended"]
  /\ LET s == Home(t)   vector == Join(slv[s], [deps[t] EXCEPT ![s] = position[s] + 1])
     IN /\ lv' = [lv EXCEPT ![t] = vector] /\ slv' = [slv EXCEPT ![s] = vector]
        /\ position' = [position EXCEPT ![s] = @ + 1]
  /\ UNCHANGED <<clock, queue, lock, bound, ts, durable, rest>>
Committed(t) ==
  /\ state[t] = "appended" /\ state' = [state EXCEPT ![t] = "committed"] /\ floor' = [floor EXCEPT ![t] = None]
  /\ UNCHANGED <<durableTs, commit, snap, deps, seen, base, stream, chain, before, answered>>
Abort(t) ==
  /\ state[t] = "active" /\ lock # t /\ state' = [state EXCEPT ![t] = "aborted"]
  /\ chain' = [r \in Rows |-> SelectSeq(chain[r], LAMBDA w : w # t)] /\ floor' = [floor EXCEPT ![t] = None]
  /\ UNCHANGED <<durableTs, commit, snap, deps, seen, base, stream, before, answered>>
(* What is claimed while a flush is under way is not in it; for the model it  *)
(* is claimed later.                                                          *)
FlushTo(s, end) ==
  /\ durable[s] < end /\ end <= position[s] /\ durable' = [durable EXCEPT ![s] = end]
  /\ UNCHANGED <<commit, state, position, slv, rest>>
Flush(s) == FlushTo(s, position[s])
(* Under the lock: durable commits leave the front; what is left bounds.      *)
Pop ==
  /\ lock = 0 /\ queue # <<>> /\ state[Head(queue)] = "committed" /\ IsDurable(Head(queue))
  /\ queue' = Tail(queue) /\ UNCHANGED <<clock, lock, bound, ts, lv, state, stream, rest>>
Advance ==
  /\ lock = 0
  /\ LET to == IF queue = <<>> THEN clock ELSE bound[Head(queue)]
     IN durableTs' = Max(durableTs, to)
  /\ durableTs' # durableTs
  /\ UNCHANGED <<commit, state, floor, snap, deps, seen, base, stream, chain, before, answered>>
(* A commit is answered once durable_ts has passed it; what only read, once   *)
(* what it read is durable.                                                   *)
Ack(t) ==
  /\ t \notin answered /\ answered' = answered \cup {t}
  /\ \/ state[t] = "committed" /\ durableTs >= ts[t] /\ UNCHANGED <<state, floor>>
     \/ /\ state[t] = "active" /\ ~Wrote(t) /\ lock # t /\ Covers(durable, deps[t])
        /\ state' = [state EXCEPT ![t] = "over"] /\ floor' = [floor EXCEPT ![t] = None]
  /\ UNCHANGED <<durableTs, commit, snap, deps, seen, base, stream, chain, before>>
Leave(v) ==                                                               \* a read-only view ends
  /\ v \in Readers /\ state[v] = "active" /\ state' = [state EXCEPT ![v] = "over"]
  /\ floor' = [floor EXCEPT ![v] = None]
  /\ UNCHANGED <<durableTs, commit, snap, deps, seen, base, stream, chain, before, answered>>
(* The newest version of a row becomes bare, older ones are dropped.          *)
Strip(r) ==
  /\ LET w == chain[r][Len(chain[r])] IN
       /\ Len(chain[r]) > 1 /\ State(w) = "committed" /\ Ts(w) <= durableTs
       /\ \A v \in Views : Ts(w) <= floor[v]
       /\ chain' = [chain EXCEPT ![r] = <<w>>]
  /\ UNCHANGED <<durableTs, commit, state, floor, snap, deps, seen, base, stream, before, answered>>
Next ==
  \/ \E v \in Views : Register(v) \/ DrawSnapshot(v) \/ Leave(v) \/ \E r \in Rows : Read(v, r)
  \/ \E t \in Writers : Bound(t) \/ Committing(t) \/ Enqueue(t) \/ Draw(t) \/ AppendCommit(t) \/ Committed(t)
  \/ \E t \in Writers : Abort(t) \/ Ack(t) \/ \E r \in Rows : Update(t, r)
  \/ \E s \in Streams : Flush(s)
  \/ Pop \/ Advance \/ \E r \in Rows : Strip(r)
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
(* T2: a view shows, of every row, the newest commit at or below it.          *)
OneState == \A v \in Views, r \in Rows : seen[v][r] # None =>
  /\ Ts(seen[v][r]) <= snap[v]
  /\ \A t \in Writers : state[t] = "committed" /\ base[t][r] # None /\ ts[t] <= snap[v] => ts[t] <= Ts(seen[v][r])
NoLostUpdate == \A t, u \in Writers, r \in Rows :
  t # u /\ state[t] = "committed" /\ state[u] = "committed" /\ base[t][r] # None /\ base[u][r] # None
    => ~(snap[t] < ts[u] /\ ts[u] < ts[t])
(* T3: nothing that was answered rests on what a crash could undo.            *)
AnswersAreDurable ==
  /\ \A t \in answered : IsDurable(t)
  /\ \A t \in answered, r \in Rows : /\ (seen[t][r] # None => IsDurable(seen[t][r]))
                                     /\ (base[t][r] # None => IsDurable(base[t][r]))
  /\ \A v \in Readers, r \in Rows : seen[v][r] # None => IsDurable(seen[v][r])
DurableTsHolds == \A t \in Writers :
  state[t] \in {"drawn", "appended", "committed"} /\ ts[t] <= durableTs => state[t] = "committed" /\ IsDurable(t)
SeesAnswered == \A v \in Readers : state[v] = "active" =>
  \A t \in before[v] : state[t] = "committed" => ts[t] <= snap[v]
ReadersNeverWait == \A v \in Readers, r \in Rows : state[v] = "active" => Visible(r, snap[v], Len(chain[r])) # None
(* durable_ts and the clock only rise.                                        *)
Rising == [][durableTs <= durableTs' /\ clock <= clock' /\ durableTs' <= clock']_vars
=============================================================================
