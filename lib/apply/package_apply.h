/* package_apply: takes the files of a package into a copy: runs local.sql, and puts the files where the application finds
 * them: DIRECTORY/current is a link to those of the version that holds. */
#ifndef PACKAGE_APPLY_H
#define PACKAGE_APPLY_H

#include "archive/signature.h"
#include "sql/db.h"

/* The file is what package_files_write made. signers: demand a signature of the server; NULL. It is unpacked first; the
 * database changes in one transaction, which notes the digest (dx_meta, `package_files`); then the link follows, and what
 * older versions left goes. Run again it does what was not done. *repeat: the copy had these already.
 *
 * -1 with the copy as it was: damaged, unsigned (ERR_REFUSED); local.sql is refused or fails (ERR_REFUSED, with its line); of
 * another package than the copy's, which a later archive may mend (ERR_AGAIN). */
int package_apply(struct db *db, const char *file, const char *directory, const struct signers *signers,
                  bool *repeat);

#endif
