using System.Text.Json;
using System.Text.Json.Serialization;

namespace NeoCommons.EfCore;

/// <summary>A tenant id in JSON is its text.</summary>
internal sealed class TenantIdJsonConverter : JsonConverter<TenantId>
{
    public override TenantId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        TenantId.TryParse(reader.GetString(), out var id)
            ? id
            : throw new JsonException("A tenant id is a UUID in the form 0f8fad5b-d9cb-469f-a165-70867728950e.");

    public override void Write(Utf8JsonWriter writer, TenantId value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Value);
}
