---------------------------- MODULE AtomicStore -----------------------------
(* What a store is to those above: rows change by whole commits, one after    *)
(* the other; nothing is seen of a transaction that has not committed.  A     *)
(* crash keeps the commits that were acknowledged, and a prefix; what it has  *)
(* kept may be known by that.                                                 *)
EXTENDS Naturals, Sequences
CONSTANTS Rows, Writes,    \* what may be committed: sets of [row, value]
          Empty            \* the value of a row at first
VARIABLES rows, commits, acked
After(s) == [r \in Rows |->
  LET writers == {i \in DOMAIN s : \E w \in s[i] : w.row = r}
  IN IF writers = {} THEN Empty
     ELSE (CHOOSE w \in s[CHOOSE i \in writers : \A j \in writers : j <= i] : w.row = r).value]
Init == rows = [r \in Rows |-> Empty] /\ commits = <<>> /\ acked = 0
Commit == \E w \in Writes : commits' = Append(commits, w) /\ rows' = After(Append(commits, w)) /\ acked' = acked
Ack == \E n \in acked..Len(commits) : acked' = n /\ commits' = commits /\ rows' = rows
Crash == \E n \in acked..Len(commits) : \E told \in acked..n :
  commits' = SubSeq(commits, 1, n) /\ rows' = After(SubSeq(commits, 1, n)) /\ acked' = told
Next == Commit \/ Ack \/ Crash
Spec == Init /\ [][Next]_<<rows, commits, acked>>
=============================================================================
