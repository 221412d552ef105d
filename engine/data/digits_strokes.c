/* How people write the ten digits, as the points through which the pen passes.
 *
 * Written down from the ways that are taught and the ways that are habitual: where the pen starts, in which direction
 * it turns, where it is lifted, what is left out when one writes fast.  Nothing here was traced from pictures.
 * P is a smooth point, K a corner, U the beginning of a further stroke.
 */
#include "data/digits_strokes.h"

/* clang-format off */
#define P(x, y) {x, y, PEN_DOWN}
#define K(x, y) {x, y, PEN_CORNER}
#define U(x, y) {x, y, PEN_UP}
/* clang-format on */

/* 0: from the top, counter-clockwise, back to the top */
static const pen_point zero_round[] = {P(54, 2),  P(26, 10), P(8, 36),  P(8, 66), P(28, 93), P(54, 98),
                                       P(80, 84), P(92, 55), P(84, 22), P(60, 4), P(44, 3)};
static const pen_point zero_narrow[] = {P(52, 0),  P(38, 8),  P(28, 32), P(26, 64), P(36, 92), P(50, 100),
                                        P(64, 90), P(72, 62), P(70, 30), P(60, 6),  P(48, 1)};
static const pen_point zero_egg[] = {P(66, 4),  P(38, 12), P(16, 40), P(10, 70), P(22, 94), P(44, 98),
                                     P(68, 82), P(84, 54), P(86, 24), P(74, 6),  P(60, 5)};
static const pen_point zero_square[] = {P(50, 4),  P(20, 8),  P(10, 34), P(10, 66), P(22, 94), P(52, 97),
                                        P(82, 92), P(90, 64), P(90, 34), P(80, 8),  P(46, 4)};
/* 0 that does not meet itself */
static const pen_point zero_gap[] = {P(46, 8),  P(22, 18), P(9, 42),  P(12, 72), P(32, 94),
                                     P(56, 97), P(80, 80), P(90, 50), P(82, 20), P(66, 5)};
static const pen_point zero_gap2[] = {P(40, 2),   P(26, 12), P(18, 42), P(18, 72), P(30, 95),
                                      P(48, 100), P(66, 84), P(76, 52), P(72, 22), P(54, 8)};
/* 0 whose end runs across its beginning */
static const pen_point zero_cross[] = {P(68, 20), P(46, 2),  P(18, 18), P(7, 48), P(16, 82), P(44, 98),
                                       P(74, 88), P(91, 54), P(82, 20), P(56, 2), P(32, 10), P(24, 24)};
static const pen_point zero_cross2[] = {P(58, 12), P(46, 0),  P(30, 14), P(20, 46), P(24, 80), P(44, 99),
                                        P(64, 90), P(78, 56), P(74, 24), P(60, 4),  P(42, 2),  P(30, 12)};

/* 1: a stroke */
static const pen_point one_plain[] = {P(50, 0), P(50, 33), P(50, 66), P(50, 100)};
static const pen_point one_left[] = {P(52, 0), P(47, 33), P(46, 66), P(50, 100)};
static const pen_point one_right[] = {P(47, 0), P(52, 33), P(53, 66), P(49, 100)};
static const pen_point one_wave[] = {P(47, 0), P(52, 33), P(48, 66), P(53, 100)};
/* 1 with a flag */
static const pen_point one_flag[] = {P(28, 26), K(54, 0), P(53, 33), P(52, 66), P(52, 100)};
static const pen_point one_flag2[] = {P(42, 12), K(54, 0), P(53, 33), P(53, 66), P(52, 100)};
static const pen_point one_flag3[] = {P(14, 34), K(54, 0), P(52, 33), P(51, 66), P(50, 100)};
/* 1 with a flag and a base */
static const pen_point one_base[] = {P(30, 22), K(53, 0),   P(52, 33), P(52, 66),
                                     P(52, 99), U(24, 100), P(52, 99), P(80, 100)};
static const pen_point one_base2[] = {P(36, 18), K(53, 0),  P(52, 33), P(51, 66),
                                      P(51, 96), U(34, 98), P(52, 96), P(68, 96)};

/* 2 with a corner at the left of its base */
static const pen_point two_plain[] = {P(14, 24), P(28, 6),  P(52, 0),  P(76, 12), P(78, 34), P(60, 58),
                                      P(34, 82), K(10, 98), P(40, 97), P(66, 97), P(92, 96)};
static const pen_point two_hook[] = {P(22, 36), P(18, 14), P(44, 0),  P(70, 10), P(72, 32), P(56, 58),
                                     P(34, 80), K(14, 97), P(38, 96), P(60, 96), P(80, 95)};
static const pen_point two_steep[] = {P(26, 18), P(36, 6),  P(54, 1),  P(68, 12), P(70, 34), P(58, 58),
                                      P(40, 80), K(22, 98), P(42, 98), P(62, 98), P(84, 97)};
static const pen_point two_wide[] = {P(6, 20),  P(28, 4), P(58, 4),  P(80, 20), P(74, 42), P(52, 62),
                                     P(26, 80), K(2, 95), P(36, 95), P(70, 96), P(102, 95)};
static const pen_point two_squat[] = {P(24, 34), P(28, 20), P(44, 8),  P(68, 8),  P(76, 28), P(60, 52),
                                      P(36, 70), K(0, 92),  P(40, 87), P(82, 84), P(124, 78)};
static const pen_point two_stretch[] = {P(30, 22), P(36, 10), P(46, 2),  P(62, 6),  P(66, 24), P(56, 46),
                                        P(40, 68), K(18, 88), P(46, 84), P(76, 86), P(110, 92)};
static const pen_point two_swing[] = {P(2, 40),  P(8, 24),  P(24, 6),  P(54, 0),  P(72, 16),  P(66, 42),
                                      P(44, 66), K(16, 96), P(42, 90), P(70, 94), P(100, 102)};
/* 2 with a loop */
static const pen_point two_loop[] = {P(14, 22), P(30, 4), P(56, 2),  P(76, 18), P(72, 42), P(52, 66), P(30, 86),
                                     P(13, 97), P(4, 88), P(14, 77), P(34, 83), P(58, 97), P(78, 99), P(96, 88)};
static const pen_point two_loop2[] = {P(10, 30), P(20, 8), P(46, 0),  P(68, 14), P(66, 40), P(48, 66), P(26, 88),
                                      P(10, 98), P(2, 90), P(12, 80), P(32, 84), P(54, 92), P(72, 94), P(90, 86)};
static const pen_point two_loop3[] = {P(24, 16), P(38, 2),  P(58, 4),  P(70, 20), P(66, 44), P(52, 66),  P(36, 86),
                                      P(20, 99), P(10, 88), P(22, 72), P(42, 84), P(58, 98), P(70, 102), P(84, 96)};
/* 2 with a round loop as wide as its head */
static const pen_point two_belly[] = {P(20, 16), P(44, 0), P(72, 14), P(74, 46), P(58, 78), P(34, 98),
                                      P(12, 96), P(4, 78), P(22, 66), P(50, 76), P(76, 90), P(100, 84)};
static const pen_point two_belly2[] = {P(10, 18),  P(36, 0), P(66, 8),  P(78, 38), P(68, 70), P(42, 94),
                                       P(18, 100), P(6, 86), P(22, 74), P(52, 84), P(78, 96), P(104, 96)};
static const pen_point two_belly3[] = {P(34, 10), P(50, 0),  P(68, 12), P(68, 42), P(56, 74), P(36, 98),
                                       P(20, 94), P(18, 76), P(36, 72), P(54, 82), P(72, 88), P(90, 78)};
/* 2 with a wavy base */
static const pen_point two_swan[] = {P(12, 28), P(24, 8),  P(48, 0),  P(70, 10), P(74, 32), P(56, 58),
                                     P(32, 80), K(12, 97), P(30, 90), P(52, 92), P(74, 98), P(94, 90)};
static const pen_point two_swan2[] = {P(16, 20), P(34, 3), P(60, 4),  P(76, 22), P(66, 46),  P(46, 66),
                                      P(26, 84), K(8, 96), P(26, 92), P(50, 96), P(72, 101), P(90, 98)};
static const pen_point two_swan3[] = {P(20, 10), P(34, 0), P(52, 4),  P(58, 24), P(48, 48), P(34, 68),
                                      P(18, 84), K(4, 98), P(28, 88), P(54, 84), P(80, 84), P(106, 76)};
/* 2 written like a Z */
static const pen_point two_zed[] = {P(12, 10), P(44, 2),  P(74, 5),  P(78, 20), P(60, 46),
                                    P(36, 74), K(10, 98), P(46, 96), P(90, 97)};
static const pen_point two_zed2[] = {P(18, 14), P(40, 2),  P(68, 2),  P(76, 16), P(62, 42),
                                     P(40, 70), K(18, 96), P(46, 98), P(78, 98)};

/* 3: two arcs and a notch */
static const pen_point three_plain[] = {P(14, 14), P(34, 0),  P(62, 4),  P(74, 22),  P(62, 40), K(38, 47),
                                        P(66, 52), P(84, 70), P(74, 92), P(44, 100), P(12, 88)};
static const pen_point three_small[] = {P(24, 12), P(40, 1),  P(60, 4),  P(66, 20),  P(58, 34), K(40, 40),
                                        P(68, 46), P(86, 68), P(74, 92), P(42, 100), P(8, 90)};
static const pen_point three_deep[] = {P(16, 10), P(40, 0),  P(66, 8),  P(70, 26),  P(52, 42), K(26, 50),
                                       P(58, 52), P(78, 70), P(68, 92), P(40, 100), P(14, 96)};
static const pen_point three_curl[] = {P(12, 20), P(28, 2),  P(58, 1),  P(76, 18), P(66, 38), K(46, 46),
                                       P(70, 54), P(80, 74), P(66, 96), P(34, 99), P(10, 80)};
static const pen_point three_bulb[] = {P(10, 18), P(30, 0),  P(60, 2),  P(70, 22),  P(58, 38), K(34, 44),
                                       P(64, 48), P(82, 66), P(76, 92), P(40, 102), P(14, 84)};
static const pen_point three_sweep[] = {P(22, 8),  P(46, 0),  P(70, 6),  P(74, 24),  P(60, 40), K(32, 52),
                                        P(56, 54), P(70, 68), P(58, 90), P(26, 100), P(-8, 92)};
static const pen_point three_point[] = {P(10, 8),  P(34, 4),  P(58, 6),  P(64, 18), P(52, 34), K(28, 46),
                                        P(52, 44), P(78, 56), P(80, 80), P(54, 98), P(18, 94)};
static const pen_point three_slim[] = {P(30, 8),  P(44, 0),  P(58, 6),  P(60, 24),  P(52, 38), K(40, 46),
                                       P(56, 52), P(64, 70), P(58, 90), P(40, 100), P(22, 92)};
/* 3 with a flat top */
static const pen_point three_flat[] = {P(14, 4),  P(46, 2),  K(80, 2),  P(62, 20),  K(42, 38),
                                       P(66, 45), P(84, 66), P(74, 90), P(44, 100), P(12, 90)};
static const pen_point three_flat2[] = {P(18, 2),  P(40, 3),  K(70, 5),  P(54, 24), K(34, 44),
                                        P(60, 48), P(76, 68), P(66, 92), P(38, 99), P(12, 94)};
static const pen_point three_tick[] = {P(22, 16), P(26, 4),  K(74, 2),  P(56, 22), K(32, 44),
                                       P(58, 46), P(78, 64), P(66, 88), P(32, 98), P(-4, 96)};
/* 3 with a small loop in the middle */
static const pen_point three_loop[] = {P(16, 14), P(36, 0),  P(64, 6),  P(72, 24), P(56, 42),  P(36, 50), P(32, 43),
                                       P(44, 42), P(68, 52), P(82, 72), P(70, 94), P(40, 100), P(12, 88)};
static const pen_point three_loop2[] = {P(20, 10), P(42, 0),  P(64, 10), P(66, 28), P(50, 46),  P(30, 54), P(24, 46),
                                        P(38, 44), P(62, 54), P(76, 74), P(66, 95), P(36, 100), P(8, 94)};
/* 3 with hardly a notch */
static const pen_point three_soft[] = {P(16, 10), P(44, 0),  P(72, 10), P(74, 32),  P(56, 47),
                                       P(74, 58), P(84, 76), P(66, 96), P(36, 100), P(10, 92)};
static const pen_point three_soft2[] = {P(22, 6),  P(50, 0),  P(70, 14), P(66, 34),  P(52, 46),
                                        P(68, 60), P(74, 80), P(56, 97), P(30, 100), P(12, 96)};

/* 4, open: an angle, then a stroke through it */
static const pen_point four_open[] = {P(22, 4),  P(17, 24), P(14, 44), K(14, 56), P(38, 57), P(62, 55),
                                      P(88, 51), U(70, 8),  P(68, 38), P(66, 68), P(64, 100)};
static const pen_point four_open2[] = {P(36, 2),  P(26, 22), P(16, 42), K(8, 60),  P(36, 61), P(62, 60),
                                       P(94, 58), U(66, 26), P(64, 50), P(62, 75), P(60, 100)};
static const pen_point four_open3[] = {P(18, 12), P(16, 28), P(18, 44), K(24, 54), P(42, 54), P(56, 51),
                                       P(74, 46), U(72, 0),  P(70, 33), P(68, 66), P(66, 100)};
static const pen_point four_open4[] = {P(30, 8),  P(22, 22), P(14, 36), K(8, 48),  P(34, 48), P(60, 47),
                                       P(86, 46), U(64, 4),  P(60, 36), P(56, 68), P(52, 100)};
/* 4, closed, as printed */
static const pen_point four_shut[] = {P(60, 0),  P(40, 24), P(20, 46), K(2, 66),  P(34, 67), P(66, 66),
                                      P(96, 65), U(62, 0),  P(61, 34), P(60, 68), P(60, 100)};
static const pen_point four_shut2[] = {P(66, 2),  P(48, 20), P(28, 38), K(10, 54), P(38, 55), P(66, 54),
                                       P(90, 52), U(68, 2),  P(66, 34), P(64, 66), P(62, 100)};
static const pen_point four_shut3[] = {P(56, 2),  P(42, 24), P(28, 48), K(14, 70), P(38, 70), P(62, 70),
                                       P(88, 70), U(58, 6),  P(58, 36), P(58, 66), P(58, 100)};
/* 4 in one stroke: down, across, up and down */
static const pen_point four_one[] = {P(18, 6), P(14, 28), P(20, 50), P(42, 54), P(64, 44),
                                     K(80, 8), P(75, 40), P(69, 70), P(64, 100)};
static const pen_point four_one2[] = {P(24, 10), P(14, 30), P(14, 50), P(34, 56), P(60, 48),
                                      K(74, 18), P(71, 46), P(68, 74), P(66, 100)};
static const pen_point four_one3[] = {P(12, 2), P(12, 24), P(22, 42), P(44, 44), P(64, 34),
                                      K(78, 2), P(70, 36), P(62, 68), P(52, 100)};
/* 4 in one stroke, closed: the pen goes up again to the tip */
static const pen_point four_tip[] = {P(64, 4),  P(42, 22), P(20, 42), K(10, 56), P(34, 58),
                                     P(58, 48), K(76, 8),  P(71, 38), P(66, 68), P(62, 100)};
static const pen_point four_tip2[] = {P(66, 8),  P(46, 18), P(26, 32), K(18, 46), P(36, 52),
                                      P(58, 44), K(74, 10), P(70, 40), P(64, 70), P(56, 100)};

/* 5: stem and belly, then the bar */
static const pen_point five_bar[] = {P(28, 4),  P(24, 24),  K(22, 44), P(46, 36), P(72, 44), P(82, 66),
                                     P(70, 92), P(40, 100), P(10, 90), U(28, 4),  P(54, 3),  P(86, 1)};
static const pen_point five_bar2[] = {P(32, 8),  P(28, 24),  K(24, 42), P(46, 38), P(68, 48), P(74, 68),
                                      P(62, 92), P(36, 100), P(12, 96), U(34, 8),  P(60, 4),  P(94, -4)};
static const pen_point five_bar3[] = {P(22, 2),  P(22, 26), K(22, 52), P(44, 46), P(66, 54), P(74, 72),
                                      P(62, 92), P(38, 99), P(12, 94), U(20, 0),  P(42, 0),  P(70, 0)};
static const pen_point five_bar4[] = {P(40, 10), P(32, 28),  K(24, 46), P(46, 44), P(64, 54), P(66, 72),
                                      P(52, 92), P(28, 100), P(4, 96),  U(42, 6),  P(66, 3),  P(92, 0)};
static const pen_point five_curl[] = {P(26, 6),  P(22, 22),  K(20, 36), P(46, 30), P(72, 40), P(86, 64),
                                      P(72, 92), P(38, 100), P(10, 80), U(26, 6),  P(50, 4),  P(78, 4)};
static const pen_point five_flat[] = {P(36, 10), P(28, 26), K(18, 44), P(44, 44), P(66, 54), P(72, 74),
                                      P(52, 94), P(22, 96), P(-6, 84), U(36, 10), P(70, 2),  P(106, -6)};
static const pen_point five_tall[] = {P(30, 0),  P(28, 24), K(26, 50), P(46, 50), P(62, 60), P(64, 78),
                                      P(52, 94), P(36, 98), P(20, 94), U(30, 2),  P(48, 2),  P(68, 2)};
/* 5 in one stroke from the bar's right end */
static const pen_point five_one[] = {P(84, 2),  P(56, 3),  K(28, 5),  P(25, 24),  K(22, 42), P(46, 36),
                                     P(72, 44), P(82, 66), P(70, 92), P(40, 100), P(10, 90)};
static const pen_point five_one2[] = {P(76, 0),  P(52, 4),  K(34, 8),  P(28, 28),  K(24, 48), P(44, 44),
                                      P(64, 52), P(70, 70), P(56, 94), P(32, 100), P(8, 94)};
static const pen_point five_one3[] = {P(96, 6),  P(66, 4),  K(36, 4),  P(30, 22), K(22, 38), P(48, 40),
                                      P(68, 52), P(72, 72), P(54, 94), P(28, 99), P(2, 90)};
static const pen_point five_one4[] = {P(70, 2),  P(50, 4),  K(30, 8),  P(26, 24),  K(22, 40), P(50, 30),
                                      P(78, 42), P(86, 66), P(70, 94), P(36, 100), P(8, 78)};
/* 5 written like an S */
static const pen_point five_ess[] = {P(82, 4),  P(54, 2),  P(30, 14), P(26, 34), P(46, 45),
                                     P(66, 55), P(76, 74), P(62, 95), P(36, 99), P(10, 90)};
static const pen_point five_ess2[] = {P(90, 0),  P(64, 4),  P(42, 16), P(34, 34),  P(46, 48),
                                      P(58, 60), P(60, 78), P(46, 96), P(24, 100), P(4, 92)};

/* 6: a curved stem and a loop */
static const pen_point six_plain[] = {P(66, 2),  P(42, 16), P(22, 42), P(11, 70), P(23, 94), P(50, 100),
                                      P(74, 86), P(74, 64), P(52, 54), P(28, 64), P(14, 82)};
static const pen_point six_straight[] = {P(58, 0),  P(40, 24), P(24, 50), P(13, 75), P(26, 97), P(50, 98),
                                         P(68, 82), P(62, 66), P(42, 64), P(24, 74), P(14, 86)};
static const pen_point six_upright[] = {P(36, 0),  P(26, 25), P(19, 52), P(17, 78), P(30, 98), P(52, 97),
                                        P(66, 80), P(60, 63), P(42, 60), P(26, 70), P(18, 84)};
static const pen_point six_big[] = {P(74, 6),  P(44, 10), P(18, 34), P(7, 64),  P(20, 92), P(52, 100),
                                    P(82, 84), P(84, 60), P(60, 44), P(32, 50), P(13, 70)};
static const pen_point six_cup[] = {P(22, 0),  P(14, 28), P(10, 56), P(16, 84), P(40, 100), P(66, 92),
                                    P(80, 70), P(70, 50), P(48, 54), P(30, 72), P(22, 88)};
static const pen_point six_sickle[] = {P(84, 0),  P(54, 8),  P(30, 28), P(16, 58), P(20, 88), P(42, 100),
                                       P(62, 88), P(64, 68), P(48, 58), P(30, 68), P(20, 82)};
/* 6 whose loop stays open or curls in */
static const pen_point six_open[] = {P(62, 2),  P(40, 16), P(20, 42), P(10, 70), P(22, 94), P(48, 100),
                                     P(72, 88), P(76, 68), P(60, 56), P(42, 62), P(34, 74)};
static const pen_point six_open2[] = {P(44, 0),  P(28, 24), P(18, 50), P(14, 76), P(28, 97), P(52, 98),
                                      P(70, 84), P(68, 68), P(50, 64), P(36, 72), P(34, 84)};
static const pen_point six_curl[] = {P(30, 0),  P(14, 30), P(8, 62),  P(22, 92), P(52, 98), P(80, 82),
                                     P(84, 60), P(68, 46), P(50, 54), P(42, 68), P(46, 82)};
static const pen_point six_curl2[] = {P(44, 0),  P(22, 24), P(10, 54), P(16, 86), P(42, 100), P(70, 92),
                                      P(86, 70), P(76, 54), P(54, 58), P(36, 74), P(28, 90)};

/* 7: bar and stem */
static const pen_point seven_plain[] = {P(8, 8), P(46, 5), K(88, 4), P(70, 36), P(54, 68), P(44, 100)};
static const pen_point seven_bent[] = {P(10, 4), P(48, 5), K(86, 6), P(62, 30), P(48, 62), P(44, 100)};
static const pen_point seven_upright[] = {P(14, 6), P(42, 4), K(74, 4), P(70, 36), P(66, 68), P(62, 100)};
static const pen_point seven_lean[] = {P(8, 12), P(44, 8), K(84, 2), P(64, 36), P(44, 68), P(24, 100)};
static const pen_point seven_round[] = {P(14, 14), P(44, 2), K(72, 10), P(74, 34), P(64, 66), P(50, 100)};
static const pen_point seven_small[] = {P(26, 14), P(44, 12), K(64, 4), P(60, 36), P(52, 68), P(42, 100)};
static const pen_point seven_hang[] = {P(2, 14), P(46, 10), K(92, 6), P(78, 30), P(68, 60), P(66, 100)};
/* 7 with a serif where it begins */
static const pen_point seven_serif[] = {P(10, 24), K(14, 7), P(50, 6), K(88, 4), P(68, 36), P(54, 68), P(46, 100)};
static const pen_point seven_serif2[] = {P(6, 32), K(10, 10), P(46, 10), K(82, 4), P(66, 34), P(54, 66), P(48, 100)};
static const pen_point seven_serif3[] = {P(14, 44), K(12, 10), P(40, 6), K(70, 6), P(66, 36), P(58, 68), P(52, 100)};
/* 7 with a wavy bar */
static const pen_point seven_wave[] = {P(6, 18), P(22, 4), P(52, 10), K(88, 4), P(66, 36), P(52, 68), P(44, 100)};
static const pen_point seven_wave2[] = {P(10, 26), P(20, 8), P(48, 4), K(80, 12), P(70, 40), P(60, 70), P(54, 100)};
/* 7 with a bar through its stem */
static const pen_point seven_cut[] = {P(10, 8),   P(48, 5),  K(88, 4),  P(70, 36), P(54, 68),
                                      P(44, 100), U(32, 54), P(56, 51), P(84, 48)};
static const pen_point seven_cut2[] = {P(8, 10),   P(46, 8),  K(82, 2),  P(66, 36), P(52, 68),
                                       P(40, 100), U(40, 56), P(58, 50), P(80, 42)};
static const pen_point seven_cut3[] = {P(14, 4),   P(46, 4),  K(76, 6),  P(68, 36), P(60, 68),
                                       P(52, 100), U(36, 46), P(62, 46), P(90, 47)};

/* 8 in one stroke: an S, and back up */
static const pen_point eight_ess[] = {P(74, 16),  P(54, 1),  P(30, 8),  P(26, 28), P(50, 47), P(74, 64), P(80, 86),
                                      P(54, 100), P(26, 94), P(20, 74), P(42, 52), P(66, 36), P(78, 18)};
static const pen_point eight_slim[] = {P(62, 12),  P(50, 0),  P(36, 8),  P(34, 28), P(50, 48), P(64, 66), P(66, 88),
                                       P(50, 100), P(34, 92), P(32, 74), P(46, 54), P(62, 34), P(66, 16)};
static const pen_point eight_lean[] = {P(86, 16),  P(68, 0),  P(44, 8),  P(38, 26), P(52, 44), P(64, 62), P(62, 86),
                                       P(40, 100), P(18, 94), P(16, 76), P(40, 56), P(70, 38), P(88, 20)};
static const pen_point eight_small[] = {P(70, 34),  P(56, 4),  P(22, 2),  P(18, 28), P(46, 50), P(66, 66), P(68, 88),
                                        P(50, 100), P(34, 94), P(34, 76), P(50, 56), P(68, 44), P(72, 28)};
/* 8 whose upper loop is the larger, in one stroke */
static const pen_point eight_top[] = {P(80, 20),  P(58, 0),  P(22, 6),  P(16, 32), P(42, 54), P(60, 70), P(60, 90),
                                      P(44, 100), P(30, 92), P(32, 74), P(50, 56), P(74, 40), P(82, 20)};
static const pen_point eight_top2[] = {P(68, 14),  P(50, 0),  P(26, 10), P(24, 36), P(46, 58), P(56, 76), P(54, 92),
                                       P(46, 100), P(36, 92), P(36, 78), P(48, 60), P(64, 42), P(72, 18)};
static const pen_point eight_heart[] = {P(52, 12),  P(34, 0),  P(14, 12), P(20, 36), P(46, 56), P(64, 74), P(58, 94),
                                        P(42, 100), P(28, 90), P(36, 70), P(58, 48), P(78, 24), P(66, 4)};
static const pen_point eight_wide[] = {P(96, 22),  P(70, 2),  P(24, 2),  P(14, 24), P(48, 44), P(84, 60), P(90, 84),
                                       P(54, 100), P(18, 92), P(14, 72), P(44, 52), P(84, 36), P(98, 18)};
/* 8 whose lower loop stays open: it begins and ends at the bottom */
static const pen_point eight_foot[] = {P(76, 98), P(62, 74), P(46, 52), P(28, 32), P(28, 10), P(50, 0),
                                       P(70, 12), P(66, 34), P(48, 52), P(30, 72), P(22, 94)};
static const pen_point eight_foot2[] = {P(50, 98), P(66, 90), P(62, 66), P(40, 40), P(32, 18), P(50, 0),
                                        P(72, 8),  P(70, 32), P(46, 56), P(26, 80), P(36, 98)};
/* 8 in one stroke, whose way back up runs straight past its beginning */
static const pen_point eight_gap[] = {P(64, 6),   P(48, 0),  P(28, 10), P(28, 30), P(52, 46), P(74, 66), P(72, 90),
                                      P(50, 100), P(28, 92), P(26, 74), P(46, 54), P(70, 36), P(90, 14)};
static const pen_point eight_ribbon[] = {P(84, 12),  P(62, 0),  P(38, 8),  P(36, 24), P(52, 42), P(64, 62), P(58, 88),
                                         P(38, 100), P(20, 90), P(26, 70), P(48, 48), P(74, 24), P(98, 0)};
static const pen_point eight_ribbon2[] = {P(72, 16), P(54, 8),  P(34, 14), P(32, 30), P(48, 44), P(62, 60), P(62, 84),
                                          P(48, 98), P(34, 90), P(36, 70), P(50, 48), P(64, 26), P(78, -4)};
/* 8 the other way round */
static const pen_point eight_turn[] = {P(26, 18),  P(48, 1),  P(70, 10), P(70, 32), P(46, 50), P(24, 70), P(22, 90),
                                       P(50, 100), P(78, 90), P(76, 68), P(50, 48), P(28, 32), P(25, 16)};
static const pen_point eight_turn2[] = {P(36, 14),  P(52, 0),  P(68, 12), P(66, 32), P(50, 48), P(34, 66), P(32, 88),
                                        P(50, 100), P(68, 90), P(66, 68), P(50, 48), P(36, 30), P(35, 14)};
/* 8 of two circles */
static const pen_point eight_two[] = {P(50, 0),  P(28, 8),   P(22, 26), P(34, 44), P(54, 46), P(74, 36),
                                      P(76, 16), P(60, 2),   P(46, 1),  U(50, 46), P(26, 56), P(16, 76),
                                      P(30, 96), P(54, 100), P(78, 90), P(84, 70), P(68, 50), P(48, 46)};
static const pen_point eight_two2[] = {P(52, 2),  P(36, 8),   P(30, 24), P(40, 38), P(54, 42), P(68, 34),
                                       P(70, 16), P(60, 3),   P(48, 2),  U(52, 42), P(30, 52), P(22, 76),
                                       P(32, 96), P(52, 100), P(72, 92), P(78, 70), P(66, 48), P(48, 42)};
/* 8 from its middle */
static const pen_point eight_mid[] = {P(50, 50), P(28, 34), P(28, 10),  P(52, 0),  P(74, 12), P(70, 36), P(48, 52),
                                      P(26, 70), P(26, 92), P(52, 100), P(78, 90), P(74, 68), P(48, 49)};
static const pen_point eight_mid2[] = {P(48, 44), P(34, 30), P(36, 8),   P(54, 0),  P(70, 12), P(64, 34), P(46, 50),
                                       P(26, 70), P(22, 90), P(44, 100), P(68, 90), P(68, 66), P(46, 44)};

/* 9: a loop, and a straight stem */
static const pen_point nine_plain[] = {P(76, 16), P(56, 2),  P(30, 8),  P(18, 30), P(32, 50),
                                       P(58, 46), K(78, 16), P(75, 44), P(71, 72), P(67, 100)};
static const pen_point nine_lean[] = {P(76, 12), P(56, 0),  P(30, 8),  P(18, 28), P(30, 46),
                                      P(56, 40), K(78, 14), P(66, 44), P(52, 72), P(38, 100)};
static const pen_point nine_small[] = {P(66, 10), P(52, 2),  P(36, 8),  P(30, 24), P(40, 38),
                                       P(56, 34), K(68, 12), P(67, 40), P(66, 70), P(65, 100)};
static const pen_point nine_big[] = {P(80, 22), P(58, 2),  P(26, 10), P(12, 36), P(30, 58),
                                     P(60, 52), K(82, 20), P(80, 46), P(76, 73), P(70, 100)};
static const pen_point nine_slim[] = {P(70, 6),  P(50, 10), P(30, 26), P(24, 42), P(38, 50),
                                      P(56, 36), K(72, 8),  P(66, 40), P(60, 70), P(52, 100)};
static const pen_point nine_flat[] = {P(80, 12), P(58, 2),  P(24, 8),  P(8, 26),  P(26, 42),
                                      P(58, 34), K(82, 12), P(78, 42), P(72, 72), P(68, 100)};
static const pen_point nine_round[] = {P(72, 8),  P(48, 0),  P(24, 14), P(20, 38), P(40, 54),
                                       P(66, 42), K(76, 14), P(78, 44), P(78, 72), P(76, 100)};
/* 9 with a curled tail */
static const pen_point nine_tail[] = {P(76, 18), P(56, 2),  P(30, 8),  P(18, 30), P(34, 50), P(60, 44),
                                      K(78, 16), P(80, 46), P(74, 76), P(54, 96), P(30, 99), P(12, 88)};
static const pen_point nine_tail2[] = {P(70, 14), P(50, 2),  P(28, 12), P(22, 34), P(38, 48),  P(58, 40),
                                       K(74, 10), P(72, 42), P(66, 72), P(52, 94), P(34, 100), P(20, 96)};
/* 9 with a separate stem */
static const pen_point nine_two[] = {P(74, 14), P(52, 2), P(28, 12), P(18, 34), P(34, 50), P(58, 46),
                                     P(74, 26), U(78, 2), P(76, 34), P(73, 67), P(70, 100)};
static const pen_point nine_two2[] = {P(66, 8),  P(46, 4), P(28, 16), P(24, 36), P(38, 48), P(56, 42),
                                      P(68, 24), U(72, 6), P(70, 36), P(66, 68), P(60, 100)};
/* 9 whose head is open at the top */
static const pen_point nine_open[] = {P(58, 6),  P(34, 6),  P(18, 26), P(28, 46), P(54, 44),
                                      K(78, 12), P(74, 42), P(68, 72), P(62, 100)};
static const pen_point nine_open2[] = {P(60, 14), P(42, 6),  P(24, 20), P(28, 42), P(52, 42),
                                       K(74, 16), P(72, 44), P(68, 72), P(64, 100)};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* 0, but does not compile when two poses of a glyph have different numbers of points. */
#define SAME(a, b) (0 * sizeof(char[COUNT(a) == COUNT(b) ? 1 : -1]))
#define POSES2(digit, weight, a, b)                                                                                    \
    {                                                                                                                  \
        digit, weight, COUNT(a) + SAME(a, b), 2,                                                                       \
        {                                                                                                              \
            a, b                                                                                                       \
        }                                                                                                              \
    }
#define POSES3(digit, weight, a, b, c)                                                                                 \
    {                                                                                                                  \
        digit, weight, COUNT(a) + SAME(a, b) + SAME(a, c), 3,                                                          \
        {                                                                                                              \
            a, b, c                                                                                                    \
        }                                                                                                              \
    }
#define POSES4(digit, weight, a, b, c, d)                                                                              \
    {                                                                                                                  \
        digit, weight, COUNT(a) + SAME(a, b) + SAME(a, c) + SAME(a, d), 4,                                             \
        {                                                                                                              \
            a, b, c, d                                                                                                 \
        }                                                                                                              \
    }

const glyph glyphs[] = {
    POSES4(0, 60, zero_round, zero_narrow, zero_egg, zero_square),
    POSES2(0, 20, zero_gap, zero_gap2),
    POSES2(0, 20, zero_cross, zero_cross2),

    POSES4(1, 78, one_plain, one_left, one_right, one_wave),
    POSES3(1, 14, one_flag, one_flag2, one_flag3),
    POSES2(1, 8, one_base, one_base2),

    POSES4(2, 24, two_plain, two_hook, two_steep, two_wide),
    POSES4(2, 20, two_plain, two_squat, two_stretch, two_swing),
    POSES3(2, 20, two_loop, two_loop2, two_loop3),
    POSES3(2, 20, two_belly, two_belly2, two_belly3),
    POSES3(2, 20, two_swan, two_swan2, two_swan3),
    POSES2(2, 10, two_zed, two_zed2),

    POSES4(3, 35, three_plain, three_small, three_deep, three_curl),
    POSES4(3, 25, three_bulb, three_sweep, three_point, three_slim),
    POSES3(3, 16, three_flat, three_flat2, three_tick),
    POSES2(3, 13, three_loop, three_loop2),
    POSES2(3, 25, three_soft, three_soft2),

    POSES4(4, 60, four_open, four_open2, four_open3, four_open4),
    POSES3(4, 15, four_shut, four_shut2, four_shut3),
    POSES3(4, 11, four_one, four_one2, four_one3),
    POSES2(4, 3, four_tip, four_tip2),

    POSES4(5, 25, five_bar, five_bar2, five_bar3, five_bar4),
    POSES4(5, 20, five_bar, five_curl, five_flat, five_tall),
    POSES4(5, 30, five_one, five_one2, five_one3, five_one4),
    POSES2(5, 15, five_ess, five_ess2),

    POSES4(6, 40, six_plain, six_straight, six_upright, six_big),
    POSES4(6, 30, six_plain, six_upright, six_cup, six_sickle),
    POSES4(6, 30, six_open, six_open2, six_curl, six_curl2),

    POSES4(7, 30, seven_plain, seven_bent, seven_upright, seven_lean),
    POSES4(7, 20, seven_bent, seven_round, seven_small, seven_hang),
    POSES3(7, 15, seven_serif, seven_serif2, seven_serif3),
    POSES2(7, 15, seven_wave, seven_wave2),
    POSES3(7, 20, seven_cut, seven_cut2, seven_cut3),

    POSES4(8, 28, eight_ess, eight_slim, eight_lean, eight_small),
    POSES4(8, 22, eight_top, eight_top2, eight_heart, eight_wide),
    POSES2(8, 5, eight_foot, eight_foot2),
    POSES3(8, 25, eight_gap, eight_ribbon, eight_ribbon2),
    POSES2(8, 10, eight_turn, eight_turn2),
    POSES2(8, 10, eight_two, eight_two2),
    POSES2(8, 10, eight_mid, eight_mid2),

    POSES4(9, 30, nine_plain, nine_lean, nine_small, nine_big),
    POSES4(9, 30, nine_lean, nine_slim, nine_flat, nine_round),
    POSES2(9, 20, nine_tail, nine_tail2),
    POSES2(9, 20, nine_two, nine_two2),
    POSES2(9, 10, nine_open, nine_open2),
};

const int glyphs_count = COUNT(glyphs);
