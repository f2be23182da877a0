------------------------------- MODULE Traces -------------------------------
(* Traces of running code, to be held against a spec.  Data[n][k] is what     *)
(* thread k of trace n did: events <<action, actor, values, begin, end>> with *)
(* the interval of tickets in which the action happened.  A behaviour merges  *)
(* the threads of one trace: each in its own order, and no event before one   *)
(* that had ended when it began.  A trace is accepted if some behaviour takes *)
(* all its events; TLC searches for it.  `cargo xtask tla validate` writes    *)
(* TraceData.tla.                                                             *)
EXTENDS Naturals, Sequences, TLC, TraceData
VARIABLES trace, next
Cursor == <<trace, next>>
Threads == 1..Len(Data[trace])
AtFirst == trace \in 1..Len(Data) /\ next = [k \in 1..Len(Data[trace]) |-> 1]
More(k) == next[k] <= Len(Data[trace][k])
Head_(k) == Data[trace][k][next[k]]
(* Nobody else's event that is still to come had ended before this one began. *)
MayComeNext(k) == More(k) /\ \A j \in Threads : j # k /\ More(j) => Head_(j)[5] > Head_(k)[4]
Took(k) == next' = [next EXCEPT ![k] = @ + 1] /\ UNCHANGED trace
Action(e) == e[1]
Actor(e) == e[2]
Value(e, i) == e[3][i]
AllTaken == \A k \in Threads : ~More(k)
(* Verdicts are printed, so that TLC never has to make up a long error trace. *)
Accepted == AllTaken => PrintT(<<"ACCEPTED", trace>>)
Heads == [k \in Threads |-> IF More(k) THEN Head_(k) ELSE <<>>]
=============================================================================
