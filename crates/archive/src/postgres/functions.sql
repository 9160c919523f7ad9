-- The functions that `almagest sql` offers beside the engine's own, for PostgreSQL: the counterparts of `sql/functions.rs`, and
-- of those of SQLite that queries commonly use. Angles are degrees; a position that is none gives NULL, or an error in in_cone.

CREATE OR REPLACE FUNCTION almagest_is_position(ra double precision, "dec" double precision) RETURNS boolean
    IMMUTABLE PARALLEL SAFE COST 1
    RETURN abs(dec) <= 90 AND abs(ra) < 'Infinity';
COMMENT ON FUNCTION almagest_is_position IS 'whether ra is finite and dec within -90 to 90';

-- Half angles, as accurate for small distances as for antipodes.
CREATE OR REPLACE FUNCTION angular_distance_deg(
    ra1 double precision, dec1 double precision, ra2 double precision, dec2 double precision) RETURNS double precision
    IMMUTABLE PARALLEL SAFE COST 20
    RETURN CASE WHEN almagest_is_position(ra1, dec1) AND almagest_is_position(ra2, dec2) THEN 2 * atan2d(
        sqrt((sind((dec2 - dec1) / 2) * cosd((ra2 - ra1) / 2)) ^ 2 + (cosd((dec2 + dec1) / 2) * sind((ra2 - ra1) / 2)) ^ 2),
        sqrt((cosd((dec2 - dec1) / 2) * cosd((ra2 - ra1) / 2)) ^ 2 + (sind((dec2 + dec1) / 2) * sind((ra2 - ra1) / 2)) ^ 2))
    END;
COMMENT ON FUNCTION angular_distance_deg IS 'angle between two positions';

-- Ends the query: an argument of in_cone that no cone has.
CREATE OR REPLACE FUNCTION almagest_refuse(argument text, value double precision) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1 AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'numeric_value_out_of_range', MESSAGE = CASE
        WHEN argument = 'radius' AND value = 0
            THEN 'in_cone: radius is 0; 1/60 of whole numbers is 0 in SQL, write 1/60.0'
        WHEN argument = 'radius' THEN 'in_cone: radius is ' || value || ', not a number of degrees above 0'
        WHEN argument LIKE 'dec%' THEN 'in_cone: ' || argument || ' is ' || value || ', not within -90 and 90'
        ELSE 'in_cone: ' || argument || ' is ' || value || ', not a finite number' END;
END $$;
COMMENT ON FUNCTION almagest_refuse IS 'ends the query with the argument of in_cone that is wrong';

-- Most positions are decided by their declination alone.
CREATE OR REPLACE FUNCTION in_cone(
    ra double precision, "dec" double precision, ra0 double precision, dec0 double precision, radius double precision)
    RETURNS boolean
    IMMUTABLE PARALLEL SAFE COST 20
    RETURN CASE
        WHEN NOT (radius > 0 AND radius < 'Infinity') THEN almagest_refuse('radius', radius)
        WHEN NOT abs(ra0) < 'Infinity' THEN almagest_refuse('ra0', ra0)
        WHEN NOT abs(dec0) <= 90 THEN almagest_refuse('dec0', dec0)
        WHEN NOT abs(ra) < 'Infinity' THEN almagest_refuse('ra', ra)
        WHEN NOT abs(dec) <= 90 THEN almagest_refuse('dec', dec)
        WHEN abs(dec - dec0) > radius + 1e-9 THEN false
        ELSE angular_distance_deg(ra, dec, ra0, dec0) <= radius END;
COMMENT ON FUNCTION in_cone IS '1 if the position lies within the radius of the centre, all in degrees; fast in a WHERE; 1/60 is 0 in SQL, write 1/60.0';

CREATE OR REPLACE FUNCTION cone_of(ra0 double precision, dec0 double precision, radius double precision)
    RETURNS double precision[]
    IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN almagest_is_position(ra0, dec0) AND radius > 0 AND radius < 'Infinity'
        THEN ARRAY[ra0, dec0, radius] END;
COMMENT ON FUNCTION cone_of IS 'a cone as one value';

-- Gorski et al. 2005, nested scheme.
CREATE OR REPLACE FUNCTION healpix("order" double precision, ra double precision, "dec" double precision) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 200 AS $$
DECLARE
    k int;
    side bigint;
    scale double precision;
    z double precision;
    turned double precision := ra;
    turns bigint;
    along double precision;
    face bigint;
    x bigint;
    y bigint;
    down bigint;
    up bigint;
    reach double precision;
    cell bigint := 0;
BEGIN
    IF abs(dec) > 90 OR dec = 'NaN' OR abs(ra) >= 'Infinity' OR "order" < 0 OR "order" > 29 OR "order" = 'NaN' THEN
        RETURN NULL;
    END IF;
    k := trunc("order");
    side := 1::bigint << k;
    scale := side;
    IF turned < 0 OR turned >= 360 THEN
        turned := turned - 360 * floor(turned / 360);
        IF turned >= 360 THEN turned := 0; END IF;
    END IF;
    z := sind(dec);
    turns := floor(turned / 90);
    along := (turned - 90 * turns) / 90;
    IF abs(z) <= 2 / 3.0::double precision THEN
        down := floor(scale * (0.5 + along) - scale * (0.75 * z));
        up := floor(scale * (0.5 + along) + scale * (0.75 * z));
        IF down >> k = up >> k THEN face := 4 + ((turns + (down >> k)) & 3);
        ELSIF down >> k < up >> k THEN face := (turns + (down >> k)) & 3;
        ELSE face := 8 + ((turns + (up >> k)) & 3);
        END IF;
        x := up & (side - 1);
        y := side - 1 - (down & (side - 1));
    ELSE
        reach := scale * cosd(dec) * sqrt(3.0 / (1.0 + abs(z)));
        down := least(floor(along * reach)::bigint, side - 1);
        up := least(floor((1.0 - along) * reach)::bigint, side - 1);
        IF z > 0 THEN
            face := turns; x := side - 1 - up; y := side - 1 - down;
        ELSE
            face := turns + 8; x := down; y := up;
        END IF;
    END IF;
    FOR bit IN 0 .. k - 1 LOOP
        cell := cell | (((x >> bit) & 1) << (2 * bit)) | (((y >> bit) & 1) << (2 * bit + 1));
    END LOOP;
    RETURN (face << (2 * k)) | cell;
END $$;
COMMENT ON FUNCTION healpix IS 'HEALPix cell, NESTED, of an order up to 29';

CREATE OR REPLACE FUNCTION healpix29(ra double precision, "dec" double precision) RETURNS bigint
    IMMUTABLE PARALLEL SAFE COST 200 RETURN healpix(29, ra, dec);
COMMENT ON FUNCTION healpix29 IS 'HEALPix cell, NESTED, order 29';

-- Kunszt, Szalay, Thakar: roots 8 to 15, children by edge midpoints; a direction belongs to the first trixel whose three
-- half-space tests give at least -1e-15.
CREATE OR REPLACE FUNCTION htm20(ra double precision, "dec" double precision) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
DECLARE
    axes CONSTANT double precision[] := ARRAY[[0,0,1],[1,0,0],[0,1,0],[-1,0,0],[0,-1,0],[0,0,-1]];
    roots CONSTANT int[] := ARRAY[[1,5,2],[2,5,3],[3,5,4],[4,5,1],[1,0,4],[4,0,3],[3,0,2],[2,0,1]];
    p double precision[];
    a double precision[]; b double precision[]; c double precision[];
    u double precision[]; v double precision[]; w double precision[];
    id bigint;
BEGIN
    IF NOT almagest_is_position(ra, dec) THEN RETURN NULL; END IF;
    p := ARRAY[cosd(dec) * cosd(ra), cosd(dec) * sind(ra), sind(dec)];
    FOR i IN 1 .. 8 LOOP
        a := ARRAY[axes[roots[i][1] + 1][1], axes[roots[i][1] + 1][2], axes[roots[i][1] + 1][3]];
        b := ARRAY[axes[roots[i][2] + 1][1], axes[roots[i][2] + 1][2], axes[roots[i][2] + 1][3]];
        c := ARRAY[axes[roots[i][3] + 1][1], axes[roots[i][3] + 1][2], axes[roots[i][3] + 1][3]];
        IF almagest_in_trixel(p, a, b, c) THEN id := 7 + i; EXIT; END IF;
    END LOOP;
    FOR level IN 1 .. 20 LOOP
        u := almagest_middle(b, c);
        v := almagest_middle(a, c);
        w := almagest_middle(a, b);
        IF almagest_in_trixel(p, a, w, v) THEN id := 4 * id; b := w; c := v;
        ELSIF almagest_in_trixel(p, b, u, w) THEN id := 4 * id + 1; a := b; b := u; c := w;
        ELSIF almagest_in_trixel(p, c, v, u) THEN id := 4 * id + 2; a := c; b := v; c := u;
        ELSE id := 4 * id + 3; a := u; b := v; c := w;
        END IF;
    END LOOP;
    RETURN id;
END $$;
COMMENT ON FUNCTION htm20 IS 'HTM trixel of depth 20';

CREATE OR REPLACE FUNCTION almagest_side(p double precision[], a double precision[], b double precision[]) RETURNS boolean
    IMMUTABLE PARALLEL SAFE
    RETURN p[1] * (a[2] * b[3] - a[3] * b[2]) + p[2] * (a[3] * b[1] - a[1] * b[3]) + p[3] * (a[1] * b[2] - a[2] * b[1])
        >= -1e-15;
COMMENT ON FUNCTION almagest_side IS 'whether a direction lies on the inner side of an edge';

CREATE OR REPLACE FUNCTION almagest_in_trixel(
    p double precision[], a double precision[], b double precision[], c double precision[]) RETURNS boolean
    IMMUTABLE PARALLEL SAFE
    RETURN almagest_side(p, a, b) AND almagest_side(p, b, c) AND almagest_side(p, c, a);
COMMENT ON FUNCTION almagest_in_trixel IS 'whether a direction lies in a trixel';

CREATE OR REPLACE FUNCTION almagest_middle(a double precision[], b double precision[]) RETURNS double precision[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    x double precision := a[1] + b[1];
    y double precision := a[2] + b[2];
    z double precision := a[3] + b[3];
    n double precision := sqrt(x * x + y * y + z * z);
BEGIN
    RETURN ARRAY[x / n, y / n, z / n];
END $$;
COMMENT ON FUNCTION almagest_middle IS 'direction half way between two';

CREATE OR REPLACE FUNCTION almagest_positive(angle double precision) RETURNS double precision
    IMMUTABLE PARALLEL SAFE RETURN CASE WHEN angle < 0 THEN angle + 360 ELSE angle END;
COMMENT ON FUNCTION almagest_positive IS 'an angle in 0 to 360';

-- The matrix of SLALIB's sla_EQGAL.
CREATE OR REPLACE FUNCTION galactic_l(ra double precision, "dec" double precision) RETURNS double precision
    IMMUTABLE PARALLEL SAFE COST 20
    RETURN CASE WHEN almagest_is_position(ra, dec) THEN almagest_positive(atan2d(
        0.494109453312 * cosd(dec) * cosd(ra) - 0.444829589425 * cosd(dec) * sind(ra) + 0.746982251810 * sind(dec),
        -0.054875539726 * cosd(dec) * cosd(ra) - 0.873437108010 * cosd(dec) * sind(ra) - 0.483834985808 * sind(dec))) END;
COMMENT ON FUNCTION galactic_l IS 'galactic longitude';

CREATE OR REPLACE FUNCTION galactic_b(ra double precision, "dec" double precision) RETURNS double precision
    IMMUTABLE PARALLEL SAFE COST 20
    RETURN CASE WHEN almagest_is_position(ra, dec) THEN atan2d(
        -0.867666135858 * cosd(dec) * cosd(ra) - 0.198076386122 * cosd(dec) * sind(ra) + 0.455983795705 * sind(dec),
        sqrt((-0.054875539726 * cosd(dec) * cosd(ra) - 0.873437108010 * cosd(dec) * sind(ra) - 0.483834985808 * sind(dec)) ^ 2
            + (0.494109453312 * cosd(dec) * cosd(ra) - 0.444829589425 * cosd(dec) * sind(ra) + 0.746982251810 * sind(dec)) ^ 2))
    END;
COMMENT ON FUNCTION galactic_b IS 'galactic latitude';

CREATE OR REPLACE FUNCTION sdss_lambda(ra double precision, "dec" double precision) RETURNS double precision
    IMMUTABLE PARALLEL SAFE COST 20
    RETURN CASE WHEN almagest_is_position(ra, dec) THEN -atan2d(cosd(dec) * cosd(ra - 95),
        sqrt((cosd(dec) * sind(ra - 95)) ^ 2 + sind(dec) ^ 2)) END;
COMMENT ON FUNCTION sdss_lambda IS 'SDSS survey longitude';

CREATE OR REPLACE FUNCTION sdss_eta(ra double precision, "dec" double precision) RETURNS double precision
    IMMUTABLE PARALLEL SAFE COST 20
    RETURN CASE WHEN NOT almagest_is_position(ra, dec) THEN NULL
        WHEN atan2d(sind(dec), cosd(dec) * sind(ra - 95)) - 32.5 <= -180
            THEN atan2d(sind(dec), cosd(dec) * sind(ra - 95)) + 327.5
        ELSE atan2d(sind(dec), cosd(dec) * sind(ra - 95)) - 32.5 END;
COMMENT ON FUNCTION sdss_eta IS 'SDSS survey latitude';

-- Cards are kept unpacked here.
-- No text holds NUL: it becomes U+0001 here, where a string ends. Other control characters become blanks, which keeps a card on
-- its line, and bytes beyond ASCII become question marks.
CREATE OR REPLACE FUNCTION almagest_cards(cards bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 500 AS $$
    SELECT string_agg(rtrim(regexp_replace(regexp_replace(convert_from(substr(stored, 80 * n + 1, 80), 'LATIN1'),
        '[\u0002-\u001f\u007f]', ' ', 'g'), '[^\u0001-\u007f]', '?', 'g'), E' \001'), E'\n' ORDER BY n)
    FROM (SELECT CASE position('\x00'::bytea IN cards) WHEN 0 THEN cards
        ELSE decode(replace(replace(encode(cards, 'escape'), '\\', '\134'), '\000', E'\001'), 'escape') END AS stored OFFSET 0) AS clean,
        generate_series(0, (length(cards) - 1) / 80) AS n $$;
COMMENT ON FUNCTION almagest_cards IS 'the cards of a row of `header` with U+0001 for NUL, one per line';

CREATE OR REPLACE FUNCTION header_text(cards bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 500 AS $$
    SELECT translate(almagest_cards(cards), E'\001', ' ') $$;
COMMENT ON FUNCTION header_text IS 'the cards of a row of `header`, one per line';

CREATE OR REPLACE FUNCTION header_value(cards bytea, keyword text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 500 AS $$
DECLARE
    card text;
    rest text;
    said text;
BEGIN
    FOREACH card IN ARRAY string_to_array(almagest_cards(cards), E'\n') LOOP
        CONTINUE WHEN strpos(card, '=') = 0
            OR upper(btrim(regexp_replace(btrim(split_part(card, '=', 1)), '^(HIERARCH )+', ''))) <> upper(btrim(keyword));
        rest := ltrim(substr(card, strpos(card, '=') + 1));
        IF left(rest, 1) = '''' THEN
            -- A quote within a string is written twice.
            said := replace((regexp_match(rest, '^''((?:[^'']|'''')*)'))[1], '''''', '''');
            said := rtrim(split_part(said, E'\001', 1));
        ELSE
            said := btrim(translate(split_part(rest, '/', 1), E'\001', ' '));
        END IF;
        RETURN nullif(said, '');
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION header_value IS 'the value of a keyword in it, as text';

-- Of SQLite.
CREATE OR REPLACE FUNCTION ifnull(a anycompatible, b anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT coalesce(a, b)';
COMMENT ON FUNCTION ifnull IS 'the first of two that is known';
CREATE OR REPLACE FUNCTION iif(condition boolean, a anycompatible, b anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN condition THEN a ELSE b END';
COMMENT ON FUNCTION iif IS 'one of two, by a condition';
CREATE OR REPLACE FUNCTION instr(text, text) RETURNS integer
    IMMUTABLE STRICT PARALLEL SAFE RETURN strpos($1, $2);
COMMENT ON FUNCTION instr IS 'where a text begins in another, from 1; 0 if nowhere';
CREATE OR REPLACE FUNCTION log2(double precision) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE RETURN ln($1) / ln(2.0::double precision);
COMMENT ON FUNCTION log2 IS 'logarithm to the base 2';
CREATE OR REPLACE FUNCTION round(double precision, integer) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE RETURN round($1::numeric, $2)::double precision;
COMMENT ON FUNCTION round(double precision, integer) IS 'rounded to a number of digits';
CREATE OR REPLACE FUNCTION mod(double precision, double precision) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE RETURN $1 - $2 * trunc($1 / nullif($2, 0));
COMMENT ON FUNCTION mod(double precision, double precision) IS 'remainder';

-- Sums in double precision, whatever is summed; infinities of both signs give NULL.
CREATE OR REPLACE FUNCTION almagest_sum(double precision[]) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN $1[1] > 0 THEN nullif($1[2], 'NaN') END;
COMMENT ON FUNCTION almagest_sum IS 'the sum that an aggregate has come to';
CREATE OR REPLACE AGGREGATE sum(real) (
    sfunc = float4_accum, stype = double precision[], finalfunc = almagest_sum, combinefunc = float8_combine,
    initcond = '{0,0,0}', parallel = safe);
CREATE OR REPLACE AGGREGATE sum(double precision) (
    sfunc = float8_accum, stype = double precision[], finalfunc = almagest_sum, combinefunc = float8_combine,
    initcond = '{0,0,0}', parallel = safe);
-- Without its schema, the name would mean the server's own aggregate.
DO $$ BEGIN
    EXECUTE format('COMMENT ON AGGREGATE %I.sum(real) IS %L', current_schema(), 'sum in double precision');
    EXECUTE format('COMMENT ON AGGREGATE %I.sum(double precision) IS %L', current_schema(), 'sum');
END $$;
CREATE OR REPLACE FUNCTION almagest_total(double precision[]) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE RETURN nullif($1[2], 'NaN');
COMMENT ON FUNCTION almagest_total IS 'the sum that an aggregate has come to, 0 of nothing';
CREATE OR REPLACE AGGREGATE total(double precision) (
    sfunc = float8_accum, stype = double precision[], finalfunc = almagest_total, combinefunc = float8_combine,
    initcond = '{0,0,0}', parallel = safe);
COMMENT ON AGGREGATE total(double precision) IS 'sum, 0 of nothing';

CREATE OR REPLACE FUNCTION almagest_collect(double precision[], double precision) RETURNS double precision[]
    IMMUTABLE PARALLEL SAFE RETURN CASE WHEN $2 IS NULL THEN $1 ELSE array_append($1, $2) END;
COMMENT ON FUNCTION almagest_collect(double precision[], double precision) IS 'adds a value to those of an aggregate';
CREATE OR REPLACE FUNCTION almagest_median(double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest($1) AS x';
COMMENT ON FUNCTION almagest_median IS 'the value in the middle';
CREATE OR REPLACE AGGREGATE median(double precision) (
    sfunc = almagest_collect, stype = double precision[], finalfunc = almagest_median, parallel = safe);
COMMENT ON AGGREGATE median(double precision) IS 'the value in the middle';
-- The first value of the state is the percentage.
CREATE OR REPLACE FUNCTION almagest_collect(double precision[], double precision, double precision)
    RETURNS double precision[]
    IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN $2 IS NULL THEN coalesce($1, ARRAY[$3]) ELSE array_append(coalesce($1, ARRAY[$3]), $2) END;
COMMENT ON FUNCTION almagest_collect(double precision[], double precision, double precision)
    IS 'adds a value to those of an aggregate';
CREATE OR REPLACE FUNCTION almagest_percentile(double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT percentile_cont(($1)[1] / 100) WITHIN GROUP (ORDER BY x) FROM unnest(($1)[2:]) AS x';
COMMENT ON FUNCTION almagest_percentile IS 'the value below which a part of the others lies';
CREATE OR REPLACE AGGREGATE percentile(double precision, double precision) (
    sfunc = almagest_collect, stype = double precision[], finalfunc = almagest_percentile, parallel = safe);
COMMENT ON AGGREGATE percentile(double precision, double precision)
    IS 'the value below which a percentage of the others lie';
CREATE OR REPLACE FUNCTION almagest_join(text, text) RETURNS text
    IMMUTABLE PARALLEL SAFE RETURN CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || ',' || $2 END;
COMMENT ON FUNCTION almagest_join(text, text) IS 'joins texts by a comma';
CREATE OR REPLACE FUNCTION almagest_join(text, text, text) RETURNS text
    IMMUTABLE PARALLEL SAFE RETURN CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || coalesce($3, '') || $2 END;
COMMENT ON FUNCTION almagest_join(text, text, text) IS 'joins texts by another';
CREATE OR REPLACE AGGREGATE group_concat(text) (
    sfunc = almagest_join, stype = text, parallel = safe);
COMMENT ON AGGREGATE group_concat(text) IS 'texts joined by commas';
CREATE OR REPLACE AGGREGATE group_concat(text, text) (
    sfunc = almagest_join, stype = text, parallel = safe);
COMMENT ON AGGREGATE group_concat(text, text) IS 'texts joined by another';
