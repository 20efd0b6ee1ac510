using System.Text.Json;
using System.Text.Json.Serialization;

namespace NeoCommons.EfCore;

/// <summary>A schema name in JSON is its unquoted text.</summary>
internal sealed class SchemaNameJsonConverter : JsonConverter<SchemaName>
{
    public override SchemaName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        SchemaName.TryParse(reader.GetString(), out var name)
            ? name
            : throw new JsonException("The text is not a valid schema name.");

    public override void Write(Utf8JsonWriter writer, SchemaName value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Value);
}
