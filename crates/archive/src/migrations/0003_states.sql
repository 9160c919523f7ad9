-- What is to be done is found among years of what is done.
CREATE INDEX delivery_state ON delivery (state);
CREATE INDEX unit_state ON unit (state);
