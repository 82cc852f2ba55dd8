/* SPDX-License-Identifier: MIT */
/* Whether a sanitizer watches this build, for tests that then do less of what takes several times as long. */
#ifndef ZU_TESTS_SANITIZED_H
#define ZU_TESTS_SANITIZED_H

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { SANITIZED_ADDRESS = 1 };
#else
enum { SANITIZED_ADDRESS = 0 };
#endif
#if defined __SANITIZE_THREAD__ || __has_feature(thread_sanitizer)
enum { SANITIZED_THREAD = 1 };
#else
enum { SANITIZED_THREAD = 0 };
#endif
enum { SANITIZED = SANITIZED_ADDRESS || SANITIZED_THREAD };

#endif
