/* run_files.h: the folders beside the database that hold runs' files, and removing them. */
#ifndef CLI_RUN_FILES_H
#define CLI_RUN_FILES_H

#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

/* The folder of a run (which may not be there); malloc'd, NULL without memory. */
char *run_files_folder(const store *s, const char *uuid);

/* How many bytes and files a folder holds; 0 when it is not there. */
int64_t run_files_size(const char *folder, int64_t *files);

/* Removes a folder and all that is in it; links are removed, not followed. */
int run_files_remove(const char *folder, error *e);

/* Folders of runs that no run of the database owns, and that nobody has touched for an hour (a run whose first commit
 * still waits may be at work in a younger one).  *list is malloc'd, its paths too; ended by NULL. */
int run_files_orphans(store *s, char ***list, error *e);
void run_files_free(char **list);

#endif
