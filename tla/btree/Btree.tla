------------------------------- MODULE Btree --------------------------------
(* A B+tree under optimistic lock coupling: reads that validate versions,     *)
(* splits, merges, pages freed and used again, the root turning from a leaf   *)
(* into an inner node and back: P6, T2.  Code: aether-index (btree: descend,  *)
(* read, write, smo), aether-recovery (mtr, space).                           *)
(*                                                                            *)
(* What is read of a page before its version is validated may be of any       *)
(* moment; torn pages, hints and frames are Frames'.  A mini-transaction      *)
(* changes all its pages in one step, under their latches, and lets go of     *)
(* them one by one; that step is atomic over crashes too (PageRedo, Undo).    *)
(* What a page has room for, where it is split and which page is allocated    *)
(* are parameters of the steps: Next counts keys, a trace brings bytes.       *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS NumReaders, NumWriters, NumKeys, NumPages,
          LeafMax,       \* keys in a leaf
          GetsMax, ChangesMax,        \* of one reader, of one writer
          Gets, Puts, Deletes,        \* the keys that are asked for
          Left, Right, Middle         \* the keys at first: two leaves that meet at Middle; 0: the root is a leaf
VARIABLES
  page, used,            \* page -> [level, keys, seps, kids, low, high]; the space map
  version, latch,        \* page -> version; page -> who has it exclusively, or 0
  th,                    \* thread -> how far it is
  held, changed,         \* thread -> pages latched; those of them that were changed
  map, could             \* history: the keys; reader -> answers that were right since it began
tree == <<page, used>>
words == <<version, latch>>
locks == <<held, changed>>
vars == <<tree, words, th, locks, map, could>>
Readers == 1..NumReaders
Writers == (NumReaders + 1)..(NumReaders + NumWriters)
Clients == Readers \cup Writers
Pages == 1..NumPages
Root == 1                \* never moves
Leaf(keys, low, high) == [level |-> 0, keys |-> keys, seps |-> <<>>, kids |-> <<>>, low |-> low, high |-> high]
Inner(seps, kids) == [level |-> 1, keys |-> {}, seps |-> seps, kids |-> kids, low |-> 0, high |-> NumKeys + 1]
Idle == [pc |-> "idle", op |-> "none", key |-> 0, goal |-> "row", node |-> 0, version |-> 0, parent |-> 0, above |-> 0,
         next |-> 0, index |-> 0, pair |-> 0, seen |-> FALSE, done |-> 0]
Init ==
  /\ page = [p \in Pages |-> IF Middle = 0 THEN Leaf(IF p = Root THEN Left ELSE {}, 0, NumKeys + 1)
                             ELSE IF p = Root THEN Inner(<<Middle>>, <<2, 3>>)
                             ELSE IF p = 2 THEN Leaf(Left, 0, Middle) ELSE Leaf(IF p = 3 THEN Right ELSE {}, Middle, NumKeys + 1)]
  /\ used = (IF Middle = 0 THEN {Root} ELSE {Root, 2, 3})
  /\ version = [p \in Pages |-> 0] /\ latch = [p \in Pages |-> 0]
  /\ th = [t \in Clients |-> Idle] /\ held = [t \in Clients |-> {}] /\ changed = [t \in Clients |-> {}]
  /\ map = Left \cup Right /\ could = [t \in Readers |-> {}]
-----------------------------------------------------------------------------
IsValid(p, v) == latch[p] = 0 /\ version[p] = v
ChildIndex(n, k) == 1 + Cardinality({i \in DOMAIN n.seps : n.seps[i] <= k})
HasRoom(n) == Cardinality(n.keys) < LeafMax
IsSparse(n) == Cardinality(n.keys) * 2 <= LeafMax
At(t, pc) == th[t].pc = pc
Restart(t) == th' = [th EXCEPT ![t].pc = "root", ![t].parent = 0, ![t].node = 0, ![t].next = 0]
Still == UNCHANGED <<tree, map, could>>
Begin(t, op, k) ==
  /\ At(t, "idle") /\ th[t].done < (IF t \in Readers THEN GetsMax ELSE ChangesMax)
  /\ th' = [th EXCEPT ![t] = [Idle EXCEPT !.pc = "root", !.op = op, !.key = k, !.done = th[t].done + 1]]
  /\ could' = [r \in Readers |-> IF r = t THEN {k \in map} ELSE could[r]]
  /\ UNCHANGED <<tree, words, locks, map>>
FixRoot(t) ==
  /\ At(t, "root") /\ latch[Root] = 0
  /\ th' = [th EXCEPT ![t].pc = "look", ![t].node = Root, ![t].version = version[Root]]
  /\ Still /\ UNCHANGED <<words, locks>>
(* Whatever stands in the page now, changed or not.                           *)
Asked(t, n) == CASE th[t].goal = "row" -> th[t].key \in n.keys [] th[t].goal = "split" -> HasRoom(n) [] OTHER -> IsSparse(n)
Look(t, seen) ==
  /\ At(t, "look")
  /\ LET n == page[th[t].node] IN
       th' = IF n.level = 1 THEN LET i == ChildIndex(n, th[t].key) IN [th EXCEPT ![t].pc = "fix", ![t].next = n.kids[i], ![t].index = i]
             ELSE [th EXCEPT ![t].pc = "leaf", ![t].seen = seen]
  /\ Still /\ UNCHANGED <<words, locks>>
FixChild(t) ==
  /\ At(t, "fix") /\ latch[th[t].next] = 0
  /\ th' = [th EXCEPT ![t].pc = "couple", ![t].parent = th[t].node, ![t].above = th[t].version,
                      ![t].node = th[t].next, ![t].version = version[th[t].next]]
  /\ Still /\ UNCHANGED <<words, locks>>
(* If the parent has not changed, the child is the right one, and was so when *)
(* its version was read.                                                      *)
Couple(t) ==
  /\ At(t, "couple")
  /\ IF IsValid(th[t].parent, th[t].above)
     THEN th' = [th EXCEPT ![t].pc = "look"]
     ELSE Restart(t)
  /\ Still /\ UNCHANGED <<words, locks>>
Answer(t) ==
  /\ At(t, "leaf") /\ th[t].op = "get"
  /\ IF IsValid(th[t].node, th[t].version)
     THEN th' = [th EXCEPT ![t].pc = "answered"]
     ELSE Restart(t)
  /\ Still /\ UNCHANGED <<words, locks>>
Return(t) ==
  /\ At(t, "answered") /\ th' = [th EXCEPT ![t].pc = "idle"] /\ Still /\ UNCHANGED <<words, locks>>
-----------------------------------------------------------------------------
(* An upgrade takes the latch of a version, at once or not at all.            *)
Take(t, p) == latch' = [latch EXCEPT ![p] = t] /\ held' = [held EXCEPT ![t] = @ \cup {p}] /\ UNCHANGED <<version, changed>>
Upgrade(t) ==
  /\ At(t, "leaf") /\ th[t].op # "get" /\ th[t].goal = "row"
  /\ IF IsValid(th[t].node, th[t].version) THEN Take(t, th[t].node) /\ th' = [th EXCEPT ![t].pc = "write"]
     ELSE Restart(t) /\ UNCHANGED <<words, locks>>
  /\ Still
(* The row, under the leaf's latch; the abstract map changes with it.         *)
Changes(t, pages, goal) ==
  /\ changed' = [changed EXCEPT ![t] = pages] /\ th' = [th EXCEPT ![t].pc = "release", ![t].goal = goal]
  /\ UNCHANGED <<words, held>>
Mapped(keys) == map' = keys /\ could' = [r \in Readers |-> could[r] \cup {th[r].key \in keys}]
Write(t, room) ==
  /\ At(t, "write")
  /\ LET n == page[th[t].node] k == th[t].key
         after == IF th[t].op = "put" THEN n.keys \cup {k} ELSE n.keys \ {k}
     IN IF th[t].op = "put" /\ k \notin n.keys /\ ~room THEN Changes(t, {}, "split") /\ Still
        ELSE IF after = n.keys THEN Changes(t, {}, "done") /\ Still
        ELSE /\ page' = [page EXCEPT ![th[t].node].keys = after]
             /\ Changes(t, {th[t].node}, IF th[t].op = "put" THEN "done" ELSE "merge")
             /\ Mapped(IF th[t].op = "put" THEN map \cup {k} ELSE map \ {k}) /\ UNCHANGED used
(* A latch that was taken and not used leaves the version as it was.          *)
Release(t, p) ==
  /\ At(t, "release") /\ p \in held[t] /\ latch' = [latch EXCEPT ![p] = 0] /\ held' = [held EXCEPT ![t] = @ \ {p}]
  /\ version' = [version EXCEPT ![p] = IF p \in changed[t] THEN @ + 1 ELSE @]
  /\ changed' = [changed EXCEPT ![t] = @ \ {p}]
  /\ IF held'[t] # {} THEN UNCHANGED th
     ELSE IF th[t].goal = "done" THEN th' = [th EXCEPT ![t].pc = "idle", ![t].goal = "row"] ELSE Restart(t)
  /\ Still
-----------------------------------------------------------------------------
(* Structural changes: parent, then children from left to right.              *)
Free == Pages \ used
Lowest(S) == CHOOSE p \in S : \A q \in S : p <= q
First(S) == IF S = {} THEN 0 ELSE Lowest(S)
LatchForSplit(t) ==
  /\ At(t, "leaf") /\ th[t].goal = "split"
  /\ IF ~IsValid(th[t].node, th[t].version) THEN Restart(t) /\ UNCHANGED <<words, locks>>
     ELSE IF th[t].seen THEN th' = [th EXCEPT ![t].pc = "root", ![t].goal = "row", ![t].parent = 0, ![t].node = 0, ![t].next = 0]
                             /\ UNCHANGED <<words, locks>>
     ELSE IF th[t].parent = 0 THEN Take(t, Root) /\ th' = [th EXCEPT ![t].pc = "split"]
     ELSE IF IsValid(th[t].parent, th[t].above) THEN Take(t, th[t].parent) /\ th' = [th EXCEPT ![t].pc = "second"]
     ELSE Restart(t) /\ UNCHANGED <<words, locks>>
  /\ Still
LatchChild(t) ==
  /\ At(t, "second")
  /\ IF IsValid(th[t].node, th[t].version) THEN Take(t, th[t].node) /\ th' = [th EXCEPT ![t].pc = "split"]
     ELSE Changes(t, {}, "split")
  /\ Still
With(s, i, x) == SubSeq(s, 1, i - 1) \o <<x>> \o SubSeq(s, i, Len(s))          \* x becomes the i-th
Without(s, i) == SubSeq(s, 1, i - 1) \o SubSeq(s, i + 1, Len(s))
LeftKeys(n) == {Lowest(n.keys)}
Separator(n) == Lowest(n.keys \ LeftKeys(n))
(* A root that is full becomes the parent of two new nodes.                   *)
SplitRoot(t, n, left, sep, p, q) ==
  /\ page' = [page EXCEPT ![Root] = Inner(<<sep>>, <<p, q>>), ![p] = Leaf(left, n.low, sep), ![q] = Leaf(n.keys \ left, sep, n.high)]
  /\ used' = used \cup {p, q} /\ version' = [version EXCEPT ![p] = @ + 1, ![q] = @ + 1] /\ UNCHANGED <<latch, held>>
SplitChild(t, n, left, sep, p) ==
  LET above == page[th[t].parent] i == th[t].index IN
  /\ page' = [page EXCEPT ![th[t].parent] = Inner(With(above.seps, i, sep), With(above.kids, i + 1, p)),
                          ![th[t].node] = Leaf(left, n.low, sep), ![p] = Leaf(n.keys \ left, sep, n.high)]
  /\ used' = used \cup {p} /\ version' = [version EXCEPT ![p] = @ + 1] /\ UNCHANGED <<latch, held>>
Split(t, left, sep, p, q) ==
  /\ At(t, "split")
  /\ LET n == page[th[t].node]
         pages == IF th[t].parent = 0 THEN 2 ELSE 1
     IN IF Cardinality(Free) < pages THEN Changes(t, {}, "done") /\ UNCHANGED tree          \* the file is full
        ELSE /\ (IF pages = 2 THEN SplitRoot(t, n, left, sep, p, q) ELSE SplitChild(t, n, left, sep, p))
             /\ changed' = [changed EXCEPT ![t] = held[t]] /\ th' = [th EXCEPT ![t].pc = "release", ![t].goal = "row"]
  /\ UNCHANGED <<map, could>>
(* With the left sibling or the right one, if there is one.  A leaf that was  *)
(* sparse may have been changed since: the merge looks at both anew.          *)
Pairs(t) == {th[t].index - 1, th[t].index} \cap (1..(Len(page[th[t].parent].kids) - 1))
LatchForMerge(t) ==
  /\ At(t, "leaf") /\ th[t].goal = "merge"
  /\ IF (th[t].parent = 0 \/ ~th[t].seen) /\ ~IsValid(th[t].node, th[t].version) THEN Restart(t) /\ UNCHANGED <<words, locks>>
     ELSE IF th[t].parent # 0 /\ ~IsValid(th[t].parent, th[t].above) THEN Restart(t) /\ UNCHANGED <<words, locks>>
     ELSE IF th[t].parent = 0 \/ ~th[t].seen THEN th' = [th EXCEPT ![t].pc = "idle", ![t].goal = "row"] /\ UNCHANGED <<words, locks>>
     ELSE \E i \in Pairs(t) : Take(t, th[t].parent) /\ th' = [th EXCEPT ![t].pc = "left", ![t].pair = i]
  /\ Still
(* The children's latches are waited for.                                     *)
LatchSibling(t) ==
  /\ th[t].pc \in {"left", "right"}
  /\ LET p == page[th[t].parent].kids[IF At(t, "left") THEN th[t].pair ELSE th[t].pair + 1] IN latch[p] = 0 /\ Take(t, p)
  /\ th' = [th EXCEPT ![t].pc = IF At(t, "left") THEN "right" ELSE "merge"]
  /\ Still
Fits(l, r) == Cardinality(l.keys \cup r.keys) < LeafMax \/ l.keys = {} \/ r.keys = {}
Outdated(pages) == pages         \* a freed page keeps its bytes; who has read them must begin again
FitsAt(t) == LET above == page[th[t].parent] i == th[t].pair IN Fits(page[above.kids[i]], page[above.kids[i + 1]])
Merge(t, fits) ==
  /\ At(t, "merge")
  /\ LET above == page[th[t].parent] i == th[t].pair p == above.kids[i] q == above.kids[i + 1]
         l == page[p] r == page[q] both == Leaf(l.keys \cup r.keys, l.low, r.high)
     IN IF ~fits THEN Changes(t, {}, "done") /\ UNCHANGED tree
        ELSE IF Len(above.kids) = 2       \* the root's last two children become the root
        THEN /\ page' = [page EXCEPT ![Root] = both] /\ used' = used \ {p, q}
             /\ Changes(t, {Root} \cup Outdated({p, q}), "done")
        ELSE /\ page' = [page EXCEPT ![p] = both, ![th[t].parent] = Inner(Without(above.seps, i), Without(above.kids, i + 1))]
             /\ used' = used \ {q}
             /\ Changes(t, {th[t].parent, p} \cup Outdated({q}), "done")
  /\ UNCHANGED <<map, could>>
-----------------------------------------------------------------------------
Next ==
  \/ \E t \in Clients :
       \/ FixRoot(t) \/ FixChild(t) \/ Couple(t) \/ (At(t, "look") /\ Look(t, Asked(t, page[th[t].node])))
       \/ Answer(t) \/ Return(t) \/ Upgrade(t) \/ (At(t, "write") /\ Write(t, HasRoom(page[th[t].node])))
       \/ LatchForSplit(t) \/ LatchChild(t)
       \/ (At(t, "split") /\ LET n == page[th[t].node] IN Split(t, LeftKeys(n), Separator(n), First(Free), First(Free \ {First(Free)})))
       \/ LatchForMerge(t) \/ LatchSibling(t) \/ (At(t, "merge") /\ Merge(t, FitsAt(t)))
       \/ \E p \in Pages : Release(t, p)
  \/ \E t \in Readers, k \in Gets : Begin(t, "get", k)
  \/ \E t \in Writers, k \in Puts : Begin(t, "put", k)
  \/ \E t \in Writers, k \in Deletes : Begin(t, "delete", k)
Spec == Init /\ [][Next]_vars
GoesOn(t) == Next /\ th[t].pc # "idle" /\ (th'[t] # th[t] \/ held'[t] # held[t])
Fair == Spec /\ \A t \in Clients : WF_vars(GoesOn(t))
-----------------------------------------------------------------------------
Reached == {Root} \cup {page[Root].kids[i] : i \in DOMAIN page[Root].kids}
Leaves == {p \in Reached : page[p].level = 0}
Holds(n, k) == n.level = 0 /\ n.low <= k /\ k < n.high
(* No key is lost in a split or a merge, and none comes back.                 *)
NothingLost == map = UNION {page[p].keys : p \in Leaves}
(* A leaf has the keys between its fences, which are those of its parent.     *)
FencesNested ==
  /\ \A p \in Leaves : \A k \in page[p].keys : Holds(page[p], k)
  /\ LET n == page[Root] IN \A i \in DOMAIN n.kids :
       LET c == page[n.kids[i]] IN
         /\ c.low = (IF i = 1 THEN n.low ELSE n.seps[i - 1]) /\ c.low < c.high
         /\ c.high = (IF i = Len(n.kids) THEN n.high ELSE n.seps[i])
(* A page in the tree is in use, and stands there once.                       *)
OnePlace == Reached = used /\ Cardinality(used) = Len(page[Root].kids) + 1
(* P6: what is valid is in use, and is where the key belongs.                 *)
ValidIsRight == \A t \in Clients :
  th[t].pc \in {"look", "leaf"} /\ th[t].node # Root /\ IsValid(th[t].node, th[t].version) =>
    th[t].node \in used /\ Holds(page[th[t].node], th[t].key)
WriterIsRight == \A t \in Writers : At(t, "write") =>
  /\ latch[th[t].node] = t /\ th[t].node \in used /\ Holds(page[th[t].node], th[t].key)
  /\ (th[t].key \in page[th[t].node].keys) = (th[t].key \in map)
(* T2: an answer was right at one moment since the question.                  *)
Linearizable == \A t \in Readers : At(t, "answered") => th[t].seen \in could[t]
OneHolder == \A p \in Pages, t \in Clients : (latch[p] = t) = (p \in held[t])
(* Whoever begins ends: nobody waits in a circle, restarts come from changes. *)
Ends == \A t \in Clients : (th[t].pc # "idle") ~> (th[t].pc = "idle")
=============================================================================
