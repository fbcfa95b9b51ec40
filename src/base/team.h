/* SPDX-License-Identifier: MIT */
/* How many threads a team of OpenMP may have, which depends on where the caller stands. */
#ifndef PV_BASE_TEAM_H
#define PV_BASE_TEAM_H

/* Threads of the team that this thread forms next: `wanted`, or what OpenMP would use if that is 0;
 * one inside a parallel region of the caller, and in a child of fork() after a team before it. */
int pv_team_size(int wanted);

#endif
