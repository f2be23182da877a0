----------------------------- MODULE UndoAtomic -----------------------------
(* Rows with rollbacks, losers and crashes are an atomic store: a reader that *)
(* sees what is committed sees whole commits.                                 *)
EXTENDS Undo
Ordered == SelectSeq(log, LAMBDA e : e.kind = "commit")
RowsOf(t) == {log[i].row : i \in Left(t)}
Store == INSTANCE AtomicStore WITH
  Writes <- {{[row |-> r, value |-> t] : r \in some} : some \in SUBSET Rows, t \in Txns},
  Empty <- 0,
  rows <- [r \in Rows |-> Seen(row[r]).by],
  commits <- [i \in DOMAIN Ordered |-> {[row |-> r, value |-> Ordered[i].txn] : r \in RowsOf(Ordered[i].txn)}],
  acked <- Cardinality({i \in DOMAIN Ordered : \E j \in DOMAIN Ordered : i <= j /\ Ordered[j].txn \in acked})
IsAtomicStore == Store!Spec
=============================================================================
