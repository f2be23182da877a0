--------------------------- MODULE PageRedoAtomic ---------------------------
(* A page through its lives, torn writes and crashes is an atomic store of    *)
(* one row: each record is a commit, acknowledged when the log is durable.    *)
EXTENDS PageRedo
Changes(from, to) == SelectSeq(SubSeq(log, from, to), LAMBDA e : IsOfPage(e))
Now == Changes(1, Len(log))
Store == INSTANCE AtomicStore WITH
  Rows <- {1},
  Writes <- {{[row |-> 1, value |-> n]} : n \in 1..RecordsMax},
  Empty <- 0,
  rows <- [r \in {1} |-> IF Up \/ phase = "corrupt" THEN memory.id ELSE IF Now = <<>> THEN 0 ELSE Now[Len(Now)].id],
  commits <- [i \in DOMAIN Now |-> {[row |-> 1, value |-> Now[i].id]}],
  acked <- Len(Changes(1, durable))
IsAtomicStore == Store!Spec
=============================================================================
