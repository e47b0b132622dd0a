/* crashpoint: for tests of crashes: with DX_STOP_AT=N in the environment the process is killed at its N-th step that lasts, as
 * if the power had failed there. */
#ifndef CRASHPOINT_H
#define CRASHPOINT_H

/* Stands before and after each commit and each rename, and where a file comes or goes. */
void crashpoint(void);

#endif
